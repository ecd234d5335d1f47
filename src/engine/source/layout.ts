import { join } from 'node:path';
import { MpmError } from '../../errors.ts';
import { type PassedBy, readFolder } from './files.ts';
import { type Reading, takeFile, takeFolder, textOf } from './halves.ts';
import { type Naming, USUAL_NAMING } from './name.ts';
import { JOURNAL, journalProblems, PRISMA_LOCK, readJournal } from './neighbours.ts';
import { type MigrationFiles, together } from './pairs.ts';

/** The migrations of a folder in order, what else is in it, and what is wrong with its names. */
export interface FolderListing {
  /** How the files lie, most of them first: `NAME/migration.sql (Prisma), NAME.sql`. Empty without migrations. */
  layout: string;
  migrations: MigrationFiles[];
  passedBy: PassedBy[];
  problems: MpmError[];
}

/**
 * Lists the migrations of a folder, however they lie there, and everything else that is in it.
 * @throws MpmError FOLDER_MISSING, FILE_SYSTEM
 */
export function listFolder(folder: string, naming: Naming = USUAL_NAMING): FolderListing {
  const { paths, passedBy, problems } = readFolder(folder);
  const listing = arrange(folder, paths, naming);
  return {
    ...listing,
    passedBy: [...passedBy, ...listing.passedBy].toSorted((a, b) => (a.path < b.path ? -1 : 1)),
    problems: [...problems, ...listing.problems],
  };
}

/**
 * Puts paths together to migrations, in order.
 * @param paths as `readFolder` gives them
 * @param isKnown names that are known to be migrations, with or without a number
 * @throws MpmError FILE_SYSTEM when a file that says something of the others can't be read
 */
export function arrange(
  folder: string,
  paths: readonly string[],
  naming: Naming = USUAL_NAMING,
  isKnown: (name: string) => boolean = () => false,
): FolderListing {
  const problems: MpmError[] = [];
  const passedBy: PassedBy[] = [];
  const reading: Reading = {
    folder,
    parts: [],
    passedBy,
    problems,
    complain: (file, message, hint) =>
      problems.push(new MpmError('MIGRATION_INVALID', message, { subject: join(folder, file), hint })),
    pass: (path, what, known) => passedBy.push({ path, what, known }),
  };
  const inner = new Map<string, string[]>();
  for (const path of paths.toSorted()) {
    const slash = path.indexOf('/');
    if (slash < 0) {
      takeFile(reading, path);
      continue;
    }
    const name = path.slice(0, slash);
    const names = inner.get(name) ?? [];
    inner.set(name, names);
    if (slash < path.length - 1) names.push(path.slice(slash + 1));
  }
  const isDrizzle = inner.get('meta')?.includes('_journal.json') === true;
  const journal = isDrizzle ? journalOf(reading) : [];
  for (const [name, names] of inner) if (!(isDrizzle && name === 'meta')) takeFolder(reading, name, names);

  const known = (name: string) => isKnown(name) || journal.includes(name);
  const { migrations, forms } = together(reading, naming, known, journal);
  // A snapshot of ours is none of Drizzle's.
  const names = migrations
    .filter(({ file }) => !isDrizzle || !isSnapshotFile(folder, file))
    .map(({ name }) => name);
  if (isDrizzle)
    for (const { message, hint } of journalProblems(journal, names)) reading.complain(JOURNAL, message, hint);
  if (!migrations.length && !problems.length) checkEmpty(reading, inner);
  return { layout: layoutOf(forms, isDrizzle, paths.includes(PRISMA_LOCK)), migrations, passedBy, problems };
}

function isSnapshotFile(folder: string, file: string): boolean {
  return file.endsWith('snapshot.sql') && textOf(folder, file).startsWith('-- mpm:replaces ');
}

function journalOf(reading: Reading): string[] {
  reading.pass('meta/', "Drizzle's journal", true);
  const journal = readJournal(textOf(reading.folder, JOURNAL));
  if (Array.isArray(journal)) return journal;
  reading.complain(JOURNAL, journal.message, journal.hint);
  return [];
}

/** A folder that holds something, and no migration, is not just empty: it would count as up to date. */
function checkEmpty(
  { folder, complain, passedBy }: Reading,
  inner: ReadonlyMap<string, readonly string[]>,
): void {
  const odd = passedBy.filter(({ known }) => !known);
  const [first] = odd;
  if (!first) return;
  const more = odd.length > 1 ? ` and ${odd.length - 1} more` : '';
  const folders = [...inner].filter(
    ([name, names]) => odd.some(({ path }) => path === `${name}/`) && names.length,
  );
  const within = folders.find(([name]) => /^(?:postgres|postgresql|pg)$/.test(name)) ?? folders[0];
  complain(
    first.path,
    `no migration is in ${folder}, only ${first.path}${more} (${first.what})`,
    within
      ? `if ${within[0]}/ holds the migrations (${guessOf(within[1])}), set migrations.core to that folder`
      : 'a migration is NAME.sql, NAME.up.sql, NAME/migration.sql, NAME/up.sql, V1__NAME.sql, or NAME.ts, and NAME begins with a number',
  );
}

function guessOf(names: readonly string[]): string {
  if (names.includes('migration_lock.toml')) return "Prisma's";
  if (names.includes('meta/') || names.includes('_journal.json')) return "Drizzle's";
  if (names.some((name) => /^V\d.*__/.test(name))) return "Flyway's";
  if (names.some((name) => /^\d.*\/$/.test(name))) return 'NAME/migration.sql or NAME/up.sql';
  return names.some((name) => name.endsWith('.sql')) ? 'NAME.sql' : 'of whatever tool';
}

/** Forms with the tool that has them, where something beside them says it. */
function layoutOf(forms: readonly string[], isDrizzle: boolean, isPrisma: boolean): string {
  const counts = new Map<string, number>();
  const tools = new Map<string, string>([
    ...(isDrizzle ? [['NAME.sql', 'Drizzle'] as const] : []),
    ...(isPrisma ? [['NAME/migration.sql', 'Prisma'] as const] : []),
  ]);
  for (const form of forms) {
    const [, bare = form, tool] = /^(.*) \((.*)\)$/.exec(form) ?? [];
    counts.set(bare, (counts.get(bare) ?? 0) + 1);
    if (tool !== undefined && !tools.has(bare)) tools.set(bare, tool);
  }
  return [...counts]
    .toSorted(([, a], [, b]) => b - a)
    .map(([form]) => (tools.has(form) ? `${form} (${tools.get(form)})` : form))
    .join(', ');
}
