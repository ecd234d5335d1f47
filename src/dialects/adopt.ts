import { MpmError } from '../errors.ts';
import type { Change } from '../engine/edit/edit-history.ts';
import type { Migration } from '../engine/migration.ts';
import { type Contradiction, contradiction, settingOf } from '../engine/history/reordered.ts';
import { compareToVersion, isFlyway, type Order, slugBehind } from '../engine/source/name.ts';
import type { AppliedElsewhere, ToolName } from './other-tools.ts';
import type { HistoryRow } from '../engine/history/state.ts';

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
  for (const entry of applied) {
    const found = matching(migrations, entry);
    const single = entry.reach === 'one';
    if (!found || (single && (found.length !== 1 || found.some((one) => wanted.has(one)))))
      odd.push(entry.applied);
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
  const other = contradiction(pairs, order);
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

/** Whether any of what the other tool applied is one of these files. */
export function isAdoptable(migrations: readonly Migration[], applied: readonly AppliedElsewhere[]): boolean {
  return applied.some((entry) => matching(migrations, entry) !== undefined);
}

/** How many migrations the other tool has applied: those that are files, and those without one. */
export function countApplied(migrations: readonly Migration[], applied: readonly AppliedElsewhere[]): number {
  const files = applied.map((entry) => matching(migrations, entry) ?? [entry.applied]);
  return new Set(files.flat()).size;
}

/** The files that an entry means; undefined when there is none where there must be one. */
function matching(
  migrations: readonly Migration[],
  { name, version, words, reach, shared }: AppliedElsewhere,
): Migration[] | undefined {
  const whole = migrations.filter((migration) => migration.name === name);
  if (whole.length || version === undefined) return found(whole);
  // Flyway's own names have its versions; in others, parts may have become one number.
  const said = migrations.some((migration) => isFlyway(migration.name)) ? version : digits(version);
  const compared = ({ name: ours }: Migration) => compareToVersion(ours, said);
  const exact = migrations.filter((migration) => compared(migration) === 0);
  if (reach !== 'one') {
    if (reach === 'up-to' && exact.length === 0) return undefined;
    return migrations.filter((migration) => (compared(migration) ?? 1) <= 0);
  }
  if (words === undefined) return found(exact);
  const same = (migration: Migration) => wordsOf(slugBehind(migration.name)) === wordsOf(words);
  const named = exact.filter(same);
  if (named.length || exact.length === 0 || !shared) return found(named);
  const day = (each: string) => digits(each).slice(0, 8);
  return found(migrations.filter((each) => day(each.version) === day(version) && same(each)));
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
