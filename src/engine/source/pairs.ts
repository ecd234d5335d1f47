import { foreignModule } from './foreign.ts';
import { type Half, type Reading, textOf } from './halves.ts';
import { compareNames, compareVersions, isFlyway, type Naming } from './name.ts';
import { clashesOf, type NameProblem, strayOf } from './name-rules.ts';

/** One migration in a folder: its file, and its second one when it is a pair. Paths relative to the folder, with `/`. */
export interface MigrationFiles {
  name: string;
  version: string;
  /** `pair`: file is the half that goes up. `foreign`: another tool's, which is never run. */
  kind: 'sql' | 'pair' | 'module' | 'foreign';
  file: string;
  downFile?: string;
  /** Whose a foreign one is. */
  tool?: string;
  /** Something beside the file says that it doesn't run in a transaction. */
  transaction?: false;
  /** That file, which a copy of the migration needs. */
  beside?: string;
  /** Flyway would put something in the place of `${words}`. */
  placeholders?: true;
  /** The foreign migration whose place this SQL takes. */
  insteadOf?: string;
}

/** Puts halves together, in order, and says what doesn't go together. */
export function together(
  reading: Reading,
  naming: Naming,
  isKnown: (name: string) => boolean,
  journal: readonly string[],
): { migrations: MigrationFiles[]; forms: string[] } {
  const { complain } = reading;
  const parts = withoutStrays(reading, naming, isKnown, journal);
  const ours = (parts: readonly Half[]) => byName(parts).map((each) => ofOurDialect(reading, each));
  const downs = ours(parts.filter(({ way }) => way === 'down')).flat();
  const ups = ours(parts.filter(({ way }) => way !== 'down'));
  const found = ups.flatMap((parts) => migrationsOf(reading, parts));
  found.sort((a, b) => compareNames(a.name, b.name, naming.order));
  for (const { item, message, hint } of [
    ...waysBackIn(found),
    ...strayOf(found, naming, isKnown),
    ...clashesOf(found, naming, ({ file }) => file),
  ])
    complain(item.file, message, hint);
  pairUp(reading, found, downs);
  return { migrations: found, forms: ups.flat().map(({ form }) => form) };
}

const WAY_BACK = 'down|undo|rollback|revert';
const DOTTED = new RegExp(String.raw`\.(?:${WAY_BACK})(?:\.|$)`, 'i');
const ENDING = new RegExp(`[-_](?:${WAY_BACK})$`, 'i');

/** SQL that is called like the way back of another one, and would run as a migration. */
function waysBackIn(found: readonly MigrationFiles[]): NameProblem<MigrationFiles>[] {
  return found.flatMap((item) => {
    const { name, file, kind } = item;
    if (kind !== 'sql' || isFlyway(name)) return [];
    const isDotted = DOTTED.test(name);
    if (!isDotted && !ENDING.test(name)) return [];
    const beside = found.some((each) => each !== item && compareVersions(each.name, name) === 0);
    if (!isDotted && !beside) return [];
    const bare = name.replace(DOTTED, '').replace(ENDING, '');
    const message = `${file} is called like the way back of a migration, and would run as one`;
    const hint = `name the pair ${bare}.up.sql and ${bare}.down.sql, or move the file to another folder`;
    return [{ item, message, hint }];
  });
}

/** A way back belongs to the migration of its name, else to the only one of its version, as golang-migrate has it. */
function pairUp(reading: Reading, found: readonly MigrationFiles[], downs: readonly Half[]): void {
  const named = new Map(found.map((each) => [each.name, each]));
  const ofVersion: Half[] = [];
  for (const down of downs) {
    const up = named.get(down.name);
    if (up && takes(up, down)) up.downFile = down.file;
    else ofVersion.push(down);
  }
  for (const down of ofVersion) {
    const same = found.filter((each) => takes(each, down) && compareVersions(each.name, down.name) === 0);
    const [up] = same;
    if (up && same.length === 1 && down.version !== '') {
      up.kind = 'pair';
      up.downFile = down.file;
    } else if (named.get(down.name)?.kind === 'foreign')
      reading.pass(down.file, 'the way back of a migration that cannot be run', true);
    else complainOfDown(reading, down, named.get(down.name));
  }
}

/** Flyway's way there is the same file with a way back and without. */
function takes({ kind, placeholders, downFile }: MigrationFiles, { form }: Half): boolean {
  return (
    downFile === undefined && (kind === 'pair' || (kind === 'sql' && placeholders === true && isUndo(form)))
  );
}

function isUndo(form: string): boolean {
  return form.includes('Flyway');
}

function byName(parts: readonly Half[]): Half[][] {
  const groups = new Map<string, Half[]>();
  for (const part of parts) {
    const group = groups.get(part.name);
    if (group) group.push(part);
    else groups.set(part.name, [part]);
  }
  return [...groups.values()];
}

function complainOfDown(
  { complain }: Reading,
  { name, file, form }: Half,
  up: MigrationFiles | undefined,
): void {
  const wanted = form.startsWith('NAME/')
    ? `${name}/up.sql`
    : isUndo(form)
      ? `${name}.sql`
      : `${name}.up.sql`;
  complain(
    file,
    `${file} has no ${wanted}`,
    up && up.file !== wanted ? `rename ${up.file} to ${wanted}` : `add ${wanted}, or remove ${file}`,
  );
}

/** Of one name and way: the file for PostgreSQL where there is one, else the one for all. */
function ofOurDialect({ pass }: Reading, parts: readonly Half[]): Half[] {
  if (parts.every(({ dialect }) => dialect === undefined)) return [...parts];
  const ours = parts.filter(({ dialect }) => dialect === 'ours');
  const taken = ours.length ? ours : parts.filter(({ dialect }) => dialect === undefined);
  for (const { file, dialect } of parts.filter((each) => !taken.includes(each)))
    pass(file, dialect === 'other' ? 'for another database' : 'replaced by the one for PostgreSQL', true);
  return taken;
}

/** Of one name: one, unless two are in each other's way. SQL takes the place of a foreign one. */
function migrationsOf({ folder, pass }: Reading, parts: readonly Half[]): MigrationFiles[] {
  const sql = parts.filter(({ kind }) => kind === 'sql');
  const isForeign = ({ kind, file }: Half) =>
    kind === 'foreign' || (kind === 'module' && foreignModule(textOf(folder, file)) !== undefined);
  const replaced = sql.length === 1 && parts.length > 1 ? parts.filter(isForeign) : [];
  for (const { file } of replaced) pass(file, `another tool's; ${sql[0]?.file} takes its place`, true);
  return parts
    .filter((part) => !replaced.includes(part))
    .map(({ name, version, file, way, kind, tool, transaction, beside, placeholders }): MigrationFiles => {
      const [instead] = replaced;
      return {
        name,
        version,
        kind: kind === 'sql' && way === 'up' ? 'pair' : kind,
        file,
        ...(tool !== undefined && { tool }),
        ...(transaction === false && { transaction }),
        ...(beside !== undefined && { beside }),
        ...(placeholders && { placeholders }),
        ...(instead && { insteadOf: instead.file }),
      };
    });
}

/** Without SQL files that the tool of this folder doesn't run: Drizzle's journal is silent of them, or all else are folders. */
function withoutStrays(
  { parts, pass, complain }: Reading,
  { unnumbered }: Naming,
  isKnown: (name: string) => boolean,
  journal: readonly string[],
): readonly Half[] {
  const isPlain = ({ file, kind }: Half) => kind === 'sql' && !file.includes('/');
  const numbered = parts.filter(({ version }) => version !== '');
  const onlyFolders = numbered.length > 0 && !numbered.some(isPlain);
  return parts.filter((part) => {
    const { name, file, version } = part;
    if (!isPlain(part) || isKnown(name) || unnumbered.includes(name)) return true;
    const isOld = journal.some((tag) => compareVersions(name, tag) <= 0);
    if (journal.length > 0 && !isOld) {
      const hint = `add an entry with the tag ${name}, as drizzle-kit generate --custom does, or move the file to another folder`;
      complain(file, `${file} is not in Drizzle's journal`, hint);
      return true;
    }
    if (!isOld && !(onlyFolders && version === '')) return true;
    const why = isOld
      ? "not in Drizzle's journal, which has newer ones: it isn't run"
      : "without a number, beside folders with one: it isn't run";
    pass(file, why, false);
    return false;
  });
}
