import { MpmError } from '../errors.ts';
import type { Change } from '../engine/edit/edit-history.ts';
import type { Migration } from '../engine/migration.ts';
import { type Contradiction, contradiction, settingOf } from '../engine/history/reordered.ts';
import { compareToVersion, isFlyway, type Order, slugBehind } from '../engine/source/name.ts';
import type { HistoryRow } from '../engine/history/state.ts';
import { TOOLS } from './other-tools.ts';
import type { AppliedElsewhere } from './tool.ts';
import type { ToolName } from './tool-names.ts';
import { textOf } from './tools/modules.ts';

/**
 * Matches what the other tool applied with the files: an entry means the file that it names in full, or its version
 * where that tool keeps nothing else (engine 44).
 * @param order what the migrations are ordered by
 * @throws MpmError ADOPTION when an applied one has no file, or more than one, or two have the same: what is not
 *   understood is not recorded; when the tool applied them in another order
 */
export function decideAdoption(
  migrations: readonly Migration[],
  rows: readonly HistoryRow[],
  applied: readonly AppliedElsewhere[],
  tool: ToolName,
  order: Order,
): Change[] {
  const wanted = new Set<Migration>();
  const pairs: [string, string][] = [];
  let last: { name: string; rank: number } | undefined;
  const odd: string[] = [];
  const files = new Files(migrations, tool);
  for (const entry of applied) {
    const found = files.matching(entry);
    const single = entry.reach === 'one';
    if (!found || (single && (found.length !== 1 || found.some((one) => wanted.has(one)))))
      odd.push(entry.name === undefined || entry.applied.includes(entry.name) ? entry.applied : entry.name);
    else for (const migration of found) wanted.add(migration);
    const [one] = found ?? [];
    if (!one || entry.rank === undefined) continue;
    if (last && last.rank < entry.rank) pairs.push([last.name, one.name]);
    last = { name: one.name, rank: entry.rank };
  }
  if (odd.length) {
    const more = odd.length > 5 ? ` and ${odd.length - 5} more` : '';
    const byVersion = applied.every(({ name, words }) => name === undefined && words === undefined);
    throw new MpmError(
      'ADOPTION',
      `${odd.length} applied by ${tool} have no matching file: ${odd.slice(0, 5).join(', ')}${more}`,
      {
        aftermath: 'nothing was recorded here',
        hint: `Put these files in the core folder under the same ${byVersion ? 'version' : 'name'}.`,
      },
    );
  }
  const other = contradiction(pairs, order, TOOLS[tool].orders);
  if (other) throw inAnotherOrder(tool, order, other);
  const recorded = new Set(rows.map(({ name }) => name));
  return migrations
    .filter((migration) => wanted.has(migration) && !recorded.has(migration.name))
    .map((migration) => ({
      action: 'record',
      name: migration.name,
      migration,
      why: `baseline from ${tool}`,
    }));
}

function inAnotherOrder(tool: ToolName, order: Order, { first, second, was }: Contradiction): MpmError {
  // The same order by two words.
  const its = tool === 'kysely' && was === 'text' ? 'kysely' : was;
  return new MpmError(
    'ADOPTION',
    `${tool} applied ${first} before ${second}, and migrations.order "${order}" has ${second} before ${first}`,
    { aftermath: 'nothing was recorded here', hint: `Set in the configuration: ${settingOf(its)}` },
  );
}

/**
 * The names of those that the other tool left out: before the last that is recorded, and not recorded. It doesn't apply
 * them any more, or only when it's told to; nothing says that they ran.
 * @param changes as {@link decideAdoption} returns them
 */
export function leftOut(
  migrations: readonly Migration[],
  rows: readonly HistoryRow[],
  changes: readonly Change[],
): string[] {
  const recorded = new Set([...rows, ...changes].map(({ name }) => name));
  const own = migrations.filter(({ plugin }) => plugin === undefined);
  const last = own.findLastIndex(({ name }) => recorded.has(name));
  return own.slice(0, Math.max(0, last)).flatMap(({ name }) => (recorded.has(name) ? [] : [name]));
}

/** Whether any of what the other tool applied is one of these files. */
export function isAdoptable(migrations: readonly Migration[], { tool, applied }: AppliedBy): boolean {
  const files = new Files(migrations, tool);
  return applied.some((entry) => files.matching(entry) !== undefined);
}

/** How many migrations the other tool has applied: those that are files, and those without one. */
export function countApplied(migrations: readonly Migration[], { tool, applied }: AppliedBy): number {
  const known = new Files(migrations, tool);
  const files = applied.map((entry) => known.matching(entry) ?? [entry.applied]);
  return new Set(files.flat()).size;
}

interface AppliedBy {
  tool: ToolName;
  applied: readonly AppliedElsewhere[];
}

/** What migrations are found by, read once for each list of them. */
const keysOf = new WeakMap<readonly Migration[], Map<ToolName, ReadonlyMap<string, Migration[]>>>();

/** The migrations as a tool's entries name them. */
class Files {
  readonly #migrations: readonly Migration[];
  readonly #byName: ReadonlyMap<string, Migration>;
  readonly #byKey: ReadonlyMap<string, Migration[]>;

  constructor(migrations: readonly Migration[], tool: ToolName) {
    this.#migrations = migrations;
    this.#byName = new Map(migrations.map((migration) => [migration.name, migration]));
    const known = keysOf.get(migrations) ?? new Map<ToolName, ReadonlyMap<string, Migration[]>>();
    keysOf.set(migrations, known);
    this.#byKey = known.get(tool) ?? readKeys(migrations, tool);
    known.set(tool, this.#byKey);
  }

  /** The files that an entry means; undefined when there is none where there must be one. */
  matching(entry: AppliedElsewhere): Migration[] | undefined {
    const { name, keys = [], version, words, reach, shared, joined } = entry;
    const whole = name === undefined ? undefined : this.#byName.get(name);
    if (whole) return [whole];
    const key = keys.find((each) => this.#byKey.has(each));
    if (key !== undefined) return this.#byKey.get(key);
    if (version === undefined) return undefined;
    const migrations = this.#migrations;
    // Flyway's own names have its versions; in others, parts may have become one number.
    const said = migrations.some((migration) => isFlyway(migration.name)) ? version : digits(version);
    const compared = (migration: Migration) => compareToVersion(migration.name, said);
    const exact = migrations.filter((migration) => compared(migration) === 0);
    if (reach !== 'one') {
      if (reach === 'up-to' && exact.length === 0) return undefined;
      return migrations.filter((migration) => (compared(migration) ?? 1) <= 0);
    }
    if (words === undefined) return found(exact);
    const plain = (text: string) => (joined ? wordsOf(text).replaceAll('_', '') : wordsOf(text));
    const same = (migration: Migration) => plain(slugBehind(migration.name)) === plain(words);
    const named = exact.filter(same);
    if (named.length || exact.length === 0 || !shared) return found(named);
    const day = (each: string) => digits(each).slice(0, 8);
    return found(migrations.filter((each) => day(each.version) === day(version) && same(each)));
  }
}

function readKeys(migrations: readonly Migration[], tool: ToolName): ReadonlyMap<string, Migration[]> {
  const byKey = new Map<string, Migration[]>();
  const parsed = new Map<string, unknown>();
  const beside = <T>(path: string, parse: (text: string) => T): T => {
    if (!parsed.has(path)) parsed.set(path, parse(textOf(path)));
    return parsed.get(path) as T;
  };
  for (const migration of migrations) {
    for (const key of TOOLS[tool].keysOf?.(migration, beside) ?? []) {
      byKey.set(key, [...(byKey.get(key) ?? []), migration]);
    }
  }
  return byKey;
}

function digits(version: string): string {
  return version.replaceAll(/[._]/g, '');
}

function found(migrations: Migration[]): Migration[] | undefined {
  return migrations.length ? migrations : undefined;
}

/** `add meters`, `Add_Meters` and `add-meters` say the same. */
function wordsOf(text: string): string {
  return text
    .toLowerCase()
    .replaceAll(/[^\p{L}\p{N}]+/gu, '_')
    .replaceAll(/^_|_$/g, '');
}
