import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { MpmError } from '../../errors.ts';
import { isMigrationFile, type PassedBy } from './files.ts';
import { exportsUp, foreignFile, foreignModule, onlyReexports } from './foreign.ts';
import { isFlyway, parseFileName, versionOf } from './name.ts';
import { flywayProblem, KNOWN, lockProblem, PRISMA_LOCK } from './neighbours.ts';

/** A file that is a migration, or its way up or down. */
export interface Half {
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
  /** The file beside it that says how it is run. */
  beside?: string;
  placeholders?: true;
}

/** A folder while it is looked at. */
export interface Reading {
  folder: string;
  parts: Half[];
  passedBy: PassedBy[];
  problems: MpmError[];
  complain(file: string, message: string, hint: string): void;
  pass(path: string, what: string, known: boolean): void;
}

const OTHERS = 'mysql|mariadb|sqlite3?|cockroach(?:db)?|crdb|mssql|sqlserver|oracle|h2|hsqldb|db2|spanner';
/** `NAME.DIALECT.autocommit.up.sql`, each of them where it is there. */
const VARIANT = new RegExp(
  String.raw`(?:\.(?:(postgres|postgresql|pg)|(${OTHERS})))?(\.autocommit)?((?:\.(?:up|down))?\.sql)$`,
);

/** Controls, and what turns the direction of writing. */
const UNSHOWABLE = /[\p{Cc}\u200e\u200f\u202a-\u202e\u2066-\u2069]/u;

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
}

/** A file of the folder itself, or of a numbered one in it. */
export function takeFile(reading: Reading, path: string): void {
  const file = path.slice(path.lastIndexOf('/') + 1);
  // Most files: of no neighbour does the name begin like that.
  if (/^\d/.test(file) && isMigrationFile(file)) return takeMigration(reading, path);
  const flyway = flywayProblem(file);
  if (flyway) return reading.complain(path, `${path} ${flyway.what}`, flyway.hint);
  if (UNSHOWABLE.test(path)) {
    const shown = [...path].map((each) => (UNSHOWABLE.test(each) ? escaped(each) : each)).join('');
    return reading.complain(path, `${shown}: its name has a character that can't be shown`, 'rename it');
  }
  const known = KNOWN.find(([pattern]) => pattern.test(file));
  if (known) reading.pass(path, known[1], true);
  const problem = path === PRISMA_LOCK ? lockProblem(textOf(reading.folder, path)) : undefined;
  if (problem) reading.complain(path, problem.message, problem.hint);
  if (known) return;
  if (isMigrationFile(file)) return takeMigration(reading, path);
  const foreign = foreignFile(path);
  if (!foreign) return reading.pass(path, 'of no kind that migrations have', false);
  const { name, tool, down } = foreign;
  const version = versionOf(name);
  // Only Go keeps programs that are no migrations in the same folder.
  if (version === '') return reading.pass(path, `in ${tool}, without a number`, file.endsWith('.go'));
  if (down) return reading.pass(path, `in ${tool}, the way back of a migration`, true);
  const form = `NAME.${file.split('.').at(-1)}`;
  reading.parts.push({ name, version, file: path, way: 'both', kind: 'foreign', form, tool });
}

function takeMigration(reading: Reading, path: string): void {
  const dots = path.indexOf('.') !== path.lastIndexOf('.');
  const [whole = '', ours, others, autocommit, extension] = (dots && VARIANT.exec(path)) || [];
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
  const noMigration = sql || version !== '' ? undefined : helperOf(textOf(reading.folder, path));
  if (noMigration !== undefined) return reading.pass(path, noMigration, true);
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

/** What a module without a number is, if it's no migration. */
function helperOf(text: string): string | undefined {
  if (onlyReexports(text)) return 'an index of modules';
  return foreignModule(text) !== undefined || exportsUp(text) ? undefined : 'a module that exports no up';
}

/** A folder that is a migration, or that holds some; else it is passed by. */
export function takeFolder(reading: Reading, folder: string, names: readonly string[]): void {
  const { parts, problems, complain, pass } = reading;
  const path = (name: string) => `${folder}/${name}`;
  const version = versionOf(folder);
  const single = ['migration.sql', 'up.sql', 'down.sql'].some((name) => names.includes(name));
  const module = names.find((name) => /^migration\.[mc]?[jt]s$/.test(name));
  if (single || (version !== '' && module !== undefined)) {
    if (single) takePair(reading, folder, names);
    if (module !== undefined) {
      const what = { form: `NAME/${module}`, tool: 'TypeScript or JavaScript' };
      parts.push({ name: folder, version, file: path(module), way: 'both', kind: 'foreign', ...what });
    }
    passBeside(reading, folder, names, module !== undefined);
    return;
  }
  if (parts.some(({ name }) => name === folder)) {
    pass(`${folder}/`, 'beside the migration of its name', true);
    return;
  }
  if (version === '') {
    const flyway = names.find((name) => isFlyway(name) && name.endsWith('.sql'));
    if (flyway !== undefined && parts.length > 0) {
      const hint =
        'Flyway reads folders in folders: move it into the folder itself, or set migrations.core to that one';
      return complain(path(flyway), `${path(flyway)} is in a folder of its own`, hint);
    }
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
  const path = (name: string) => `${folder}/${name}`;
  const metadata = names.includes('metadata.toml') ? textOf(reading.folder, path('metadata.toml')) : '';
  const part = {
    name: folder,
    version: versionOf(folder),
    kind: 'sql' as const,
    form: `NAME/${up}${tool}`,
    ...(names.includes('metadata.toml') && { beside: path('metadata.toml') }),
    ...(/^\s*run_in_transaction\s*=\s*false\b/m.test(metadata) && { transaction: false as const }),
  };
  const isPair = names.includes('down.sql');
  if (names.includes(up)) reading.parts.push({ ...part, file: path(up), way: isPair ? 'up' : 'both' });
  if (isPair) reading.parts.push({ ...part, file: path('down.sql'), way: 'down' });
}

/** What a folder that is one migration holds besides. */
function passBeside({ pass }: Reading, folder: string, names: readonly string[], program: boolean): void {
  const own = /^(?:(?:migration|up|down)\.sql|migration\.[mc]?[jt]s|metadata\.toml)$/;
  for (const name of names.filter((each) => !own.test(each))) {
    const known = program || name === 'snapshot.json' || KNOWN.some(([pattern]) => pattern.test(name));
    pass(`${folder}/${name}`, 'beside a migration, and no part of it', known);
  }
}

/** A file's text; empty without a file. @throws MpmError FILE_SYSTEM */
export function textOf(folder: string, path: string): string {
  try {
    return readFileSync(join(folder, path), 'utf8');
  } catch (error) {
    // Where folders are put together, a file may lie in the other one.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw new MpmError('FILE_SYSTEM', `${path} cannot be read: ${(error as Error).message}`, {
      subject: join(folder, path),
      hint: 'Check its permissions.',
      cause: error,
    });
  }
}
