import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { MpmError } from '../../errors.ts';
import { isMigrationFile, type PassedBy, readFolder } from './files.ts';
import { foreignFile, foreignModule, onlyReexports } from './foreign.ts';
import {
  compareNames,
  compareVersions,
  isFlyway,
  type Naming,
  parseFileName,
  USUAL_NAMING,
  versionOf,
} from './name.ts';
import { clashesOf, strayOf } from './name-rules.ts';

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
  /** Flyway would put something in the place of `${words}`. */
  placeholders?: true;
  /** The foreign migration whose place this SQL takes. */
  insteadOf?: string;
}

/** The migrations of a folder in order, what else is in it, and what is wrong with its names. */
export interface FolderListing {
  /** How the files lie, most of them first: `NAME/migration.sql (Prisma), NAME.sql`. Empty without migrations. */
  layout: string;
  migrations: MigrationFiles[];
  passedBy: PassedBy[];
  problems: MpmError[];
}

/** A file that is a migration, or its way up or down. */
interface Half {
  name: string;
  version: string;
  file: string;
  /** Which way it goes; `both`: its sections, or its module, say. */
  way: 'both' | 'up' | 'down';
  kind: 'sql' | 'module' | 'foreign';
  form: string;
  tool?: string;
  /** The database that it is for, where its name says one. */
  dialect?: 'ours' | 'other';
  transaction?: false;
  placeholders?: true;
}

/** A folder while it is looked at. */
interface Reading {
  folder: string;
  parts: Half[];
  passedBy: PassedBy[];
  problems: MpmError[];
  complain(file: string, message: string, hint: string): void;
  pass(path: string, what: string, known: boolean): void;
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
  let journal: string[] | undefined;
  for (const [name, names] of inner) {
    if (name === 'meta' && names.includes('_journal.json')) {
      reading.pass('meta/', "Drizzle's journal", true);
      journal = readJournal(reading);
    } else takeFolder(reading, name, names);
  }

  const { migrations, forms } = together(
    reading,
    naming,
    (name) => isKnown(name) || journal?.includes(name) === true,
  );
  if (journal) checkJournal(reading, journal, migrations);
  if (!migrations.length && !problems.length) checkEmpty(reading, inner);
  return { layout: layoutOf(forms, journal !== undefined), migrations, passedBy, problems };
}

const DECLARATION = /\.d\.[mc]?ts$/;
const INDEX = /^index\.[mc]?[jt]s$/;
/** What the repository or another tool puts beside migrations. */
const KNOWN: readonly [pattern: RegExp, what: string][] = [
  [/^\./, 'hidden'],
  [DECLARATION, 'type declarations'],
  [INDEX, 'an index of modules'],
  [/^(?:readme|license|changelog|contributing|notice)\b/i, 'documentation'],
  [/\.(?:md|txt|adoc|rst)$/i, 'documentation'],
  [/\.map$/, 'a source map'],
  [/^migration_lock\.toml$/, "Prisma's lock file"],
  [/^atlas\.sum$/, "Atlas's checksums"],
  [/^flyway\.(?:conf|toml)$/, "Flyway's configuration"],
  [/(?:^|[.-])lock(?:\.(?:json|ya?ml))?$/, 'a lock file'],
  [/^(?:package|tsconfig)\b.*\.json$/, 'configuration'],
  [/^(?:Makefile|Dockerfile)$/, 'a build file'],
  [/^__init__\.py$/, 'a Python package'],
  [/_test\.go$/, 'a test'],
];

const MORE =
  /^(?:before|after)(?:Each)?(?:Migrate|Undo|Clean|Info|Validate|Baseline|Repair|Repeatables|Versioned|Connect|CreateSchema)\w*\.sql$|^createSchema(?:__\w*)?\.sql$/;

/** What Flyway runs besides versions, and what to do about it. */
function flywayProblem(file: string): { what: string; hint: string } | undefined {
  if (/^R__.*\.sql$/.test(file)) {
    return {
      what: 'is a repeatable migration: Flyway runs it again whenever it changes',
      hint: 'move it out of the folder; where it changes, put its SQL into a new migration',
    };
  }
  if (/^B\d[\d._]*__.*\.sql$/.test(file)) {
    return {
      what: 'is a baseline migration, which Flyway runs in the place of older ones',
      hint: 'move it out of the folder: new tenants run the versioned migrations',
    };
  }
  if (file.endsWith('.sql.conf')) {
    return {
      what: "is Flyway's configuration of one migration",
      hint: 'move it out of the folder; in the place of executeInTransaction=false, write -- migrate:up transaction:false at the start of the migration',
    };
  }
  if (MORE.test(file)) {
    return {
      what: 'is a Flyway callback, and there are no callbacks',
      hint: 'move it out of the folder; put what must be done once into a migration',
    };
  }
  return undefined;
}

const OTHERS = 'mysql|mariadb|sqlite3?|cockroach(?:db)?|crdb|mssql|sqlserver|oracle|h2|hsqldb|db2|spanner';
/** `NAME.DIALECT.autocommit.up.sql`, each of them where it is there. */
const VARIANT = new RegExp(
  String.raw`(?:\.(?:(postgres|postgresql|pg)|(${OTHERS})))?(\.autocommit)?((?:\.(?:up|down))?\.sql)$`,
);

const PRISMA_LOCK = 'migration_lock.toml';

function checkPrismaLock({ folder, complain }: Reading): void {
  const [, provider] = /^\s*provider\s*=\s*"([^"]*)"/m.exec(textOf(folder, PRISMA_LOCK)) ?? [];
  if (provider === undefined || ['postgresql', 'postgres'].includes(provider)) return;
  const hint = 'only migrations for PostgreSQL can be run: point migrations.core at those';
  complain(PRISMA_LOCK, `${PRISMA_LOCK} says that these migrations are for ${provider}`, hint);
}

/** A file of the folder itself, or of a numbered one in it. */
function takeFile(reading: Reading, path: string): void {
  const file = basename(path);
  const flyway = flywayProblem(file);
  if (flyway) return reading.complain(path, `${path} ${flyway.what}`, flyway.hint);
  const known = KNOWN.find(([pattern]) => pattern.test(file));
  if (known) reading.pass(path, known[1], true);
  if (path === PRISMA_LOCK) checkPrismaLock(reading);
  if (known) return;
  if (isMigrationFile(file)) return takeMigration(reading, path);
  const foreign = foreignFile(path);
  if (!foreign) return reading.pass(path, 'of no kind that migrations have', false);
  const { name } = foreign;
  const version = versionOf(name);
  // Only Go keeps programs that are no migrations in the same folder.
  if (version === '') return reading.pass(path, `without a number, ${foreign.tool}'s`, file.endsWith('.go'));
  const form = `NAME.${file.split('.').at(-1)} (${foreign.tool})`;
  reading.parts.push({ name, version, file: path, way: 'both', kind: 'foreign', form, tool: foreign.tool });
}

function takeMigration(reading: Reading, path: string): void {
  const [whole = '', ours, others, autocommit, extension] = VARIANT.exec(path) ?? [];
  const plain = whole ? path.slice(0, -whole.length) + extension : path;
  const undo = /^U(?=\d[\d._]*__)/.test(plain);
  const parsed = parseFileName(undo ? `V${plain.slice(1)}` : plain);
  if (!parsed) {
    const lower = path.replace(/\.\w+$/, (written) => written.toLowerCase());
    reading.complain(path, `${path}: its extension is not in lower case`, `rename it to ${lower}`);
    return;
  }
  const { name, version } = parsed;
  const sql = plain.endsWith('.sql');
  if (!sql && version === '' && onlyReexports(textOf(reading.folder, path)))
    return reading.pass(path, 'an index of modules', true);
  const flyway = isFlyway(name);
  const way =
    undo || parsed.extension === 'down.sql' ? 'down' : parsed.extension === 'up.sql' ? 'up' : 'both';
  const inFolder = path.includes('/') ? '1/' : '';
  const form = flyway
    ? 'V1__NAME.sql (Flyway)'
    : sql
      ? `${inFolder}NAME${ours || others ? '.DIALECT' : ''}${way === 'both' ? '' : '.up'}.sql`
      : `${inFolder}NAME.${parsed.extension}`;
  reading.parts.push({
    name,
    version,
    file: path,
    way,
    kind: sql ? 'sql' : 'module',
    form,
    ...((ours || others) && { dialect: ours ? 'ours' : 'other' }),
    ...(autocommit && { transaction: false }),
    ...(flyway && sql && { placeholders: true }),
  });
}

/** A folder that is a migration, or that holds some; else it is passed by. */
function takeFolder(reading: Reading, folder: string, names: readonly string[]): void {
  const { parts, problems, complain, pass } = reading;
  const path = (name: string) => `${folder}/${name}`;
  const version = versionOf(folder);
  const single = ['migration.sql', 'up.sql', 'down.sql'].some((name) => names.includes(name));
  const module = names.find((name) => /^migration\.[mc]?[jt]s$/.test(name));
  if (single || (version !== '' && module !== undefined)) {
    if (single) takePair(reading, folder, names);
    if (module !== undefined) {
      const what = { form: `NAME/${module}`, tool: 'a program beside SQL' };
      parts.push({ name: folder, version, file: path(module), way: 'both', kind: 'foreign', ...what });
    }
    passBeside(reading, folder, names);
    return;
  }
  if (version === '') {
    const like = names.some((name) => /^\d|\.sql$|^V\d.*__|^migration_lock\.toml$/.test(name));
    pass(`${folder}/`, 'a folder without a number', !like);
    return;
  }
  const before = parts.length + problems.length;
  for (const name of names.filter(isInner)) takeFile(reading, path(name));
  for (const name of names.filter((each) => !isInner(each)))
    pass(path(name), 'a folder in a folder', !/^\d/.test(name));
  if (parts.length + problems.length > before) return;
  complain(
    folder,
    `${folder}/ has a migration's name, and holds none`,
    'restore its migration.sql or up.sql, or remove the folder',
  );
}

function isInner(name: string): boolean {
  return !name.endsWith('/');
}

/** `NAME/migration.sql`, or `NAME/up.sql`, and `down.sql` where it is there. */
function takePair(reading: Reading, folder: string, names: readonly string[]): void {
  const up = names.includes('migration.sql') ? 'migration.sql' : 'up.sql';
  const tool = names.includes('metadata.toml')
    ? ' (diesel)'
    : names.includes('snapshot.json')
      ? ' (Drizzle)'
      : '';
  const metadata = names.includes('metadata.toml') ? textOf(reading.folder, `${folder}/metadata.toml`) : '';
  const part = {
    name: folder,
    version: versionOf(folder),
    kind: 'sql' as const,
    form: `NAME/${up}${tool}`,
    ...(/^\s*run_in_transaction\s*=\s*false\b/m.test(metadata) && { transaction: false as const }),
  };
  const isPair = names.includes('down.sql');
  if (names.includes(up))
    reading.parts.push({ ...part, file: `${folder}/${up}`, way: isPair ? 'up' : 'both' });
  if (isPair) reading.parts.push({ ...part, file: `${folder}/down.sql`, way: 'down' });
}

/** What a folder that is one migration holds besides. */
function passBeside({ pass }: Reading, folder: string, names: readonly string[]): void {
  const own = /^(?:(?:migration|up|down)\.sql|migration\.[mc]?[jt]s|metadata\.toml)$/;
  for (const name of names.filter((each) => !own.test(each))) {
    const known = name === 'snapshot.json' || KNOWN.some(([pattern]) => pattern.test(name));
    pass(`${folder}/${name}`, 'beside a migration, and no part of it', known);
  }
}

/** Puts halves together, in order, and says what doesn't go together. */
function together(
  reading: Reading,
  naming: Naming,
  isKnown: (name: string) => boolean,
): { migrations: MigrationFiles[]; forms: string[] } {
  const { complain } = reading;
  const ours = (parts: readonly Half[]) => byName(parts).map((each) => ofOurDialect(reading, each));
  const downs = ours(reading.parts.filter(({ way }) => way === 'down')).flat();
  const ups = ours(reading.parts.filter(({ way }) => way !== 'down'));
  const found = ups.flatMap((parts) => migrationsOf(reading, parts));
  found.sort((a, b) => compareNames(a.name, b.name, naming.order));
  for (const { item, message, hint } of [
    ...strayOf(found, naming, isKnown),
    ...clashesOf(found, naming, ({ file }) => file),
  ])
    complain(item.file, message, hint);
  const named = new Map(found.map((each) => [each.name, each]));
  for (const down of downs) {
    const { name, file, form } = down;
    const isUndo = form.includes('Flyway');
    const up = isUndo
      ? found.find((each) => each.placeholders && compareVersions(each.name, name) === 0)
      : named.get(name);
    if (up && up.downFile === undefined && (up.kind === 'pair' || (isUndo && up.kind === 'sql'))) {
      up.kind = 'pair';
      up.downFile = file;
    } else complainOfDown(reading, down, up);
  }
  return { migrations: found, forms: ups.flat().map(({ form }) => form) };
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
    : form.includes('Flyway')
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
    .map(({ name, version, file, way, kind, tool, transaction, placeholders }): MigrationFiles => {
      const [instead] = replaced;
      return {
        name,
        version,
        kind: kind === 'sql' && way === 'up' ? 'pair' : kind,
        file,
        ...(tool !== undefined && { tool }),
        ...(transaction === false && { transaction }),
        ...(placeholders && { placeholders }),
        ...(instead && { insteadOf: instead.file }),
      };
    });
}

/** The names in Drizzle's journal, in its order; of a journal that is of no use, the problem. */
function readJournal({ folder, complain }: Reading): string[] {
  const file = 'meta/_journal.json';
  let journal: { dialect?: unknown; entries?: { tag?: unknown }[] };
  try {
    journal = JSON.parse(textOf(folder, file)) as typeof journal;
  } catch (error) {
    if (error instanceof MpmError) throw error;
    complain(file, `${file} is no journal of Drizzle: it isn't JSON`, 'restore it');
    return [];
  }
  const { dialect, entries } = journal;
  const tags = Array.isArray(entries) ? entries.map(({ tag }) => tag) : [undefined];
  if (typeof dialect === 'string' && !['postgresql', 'pg'].includes(dialect)) {
    complain(
      file,
      `${file} is of ${dialect}`,
      'only migrations for PostgreSQL can be run: point migrations.core at those',
    );
    return [];
  }
  if (tags.every((tag) => typeof tag === 'string')) return tags;
  complain(file, `${file} is no journal of Drizzle: it has no entries with tags`, 'restore it');
  return [];
}

function checkJournal(
  { complain }: Reading,
  journal: readonly string[],
  migrations: readonly MigrationFiles[],
): void {
  const file = 'meta/_journal.json';
  const places = new Map(migrations.map(({ name }, index) => [name, index]));
  for (const tag of journal.filter((each) => !places.has(each)))
    complain(
      file,
      `${file} names ${tag}, and there is no ${tag}.sql`,
      'restore the file, or remove the entry',
    );
  const known = journal.filter((tag) => places.has(tag));
  const late = known.findIndex(
    (tag, index) => (places.get(known[index - 1] ?? tag) ?? 0) > (places.get(tag) ?? 0),
  );
  if (late < 0) return;
  complain(
    file,
    `${file} has ${known[late]} behind ${known[late - 1]}, and their names say the opposite`,
    'sort its entries by their tags',
  );
}

/** A folder that holds something, and no migration, is not just empty: it would count as up to date. */
function checkEmpty({ complain, passedBy }: Reading, inner: ReadonlyMap<string, readonly string[]>): void {
  const odd = passedBy.filter(({ known }) => !known);
  const [first] = odd;
  if (!first) return;
  const more = odd.length > 1 ? ` and ${odd.length - 1} more` : '';
  const within = [...inner].find(
    ([name, names]) => odd.some(({ path }) => path === `${name}/`) && names.length,
  );
  complain(
    first.path,
    `no migration is in here, only ${first.path}${more} (${first.what})`,
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

function layoutOf(forms: readonly string[], journal: boolean): string {
  const counts = new Map<string, number>();
  for (const form of forms) counts.set(form, (counts.get(form) ?? 0) + 1);
  return [...counts]
    .toSorted(([, a], [, b]) => b - a)
    .map(([form]) => (journal && form === 'NAME.sql' ? `${form} (Drizzle)` : form))
    .join(', ');
}

function textOf(folder: string, path: string): string {
  try {
    return readFileSync(join(folder, path), 'utf8');
  } catch (error) {
    throw new MpmError('FILE_SYSTEM', `${path} cannot be read: ${(error as Error).message}`, {
      subject: join(folder, path),
      hint: 'Check its permissions.',
      cause: error,
    });
  }
}
