import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { MpmError } from '../../errors.ts';
import { checksumOf, checksumOfModule, checksumOfSections } from './checksum.ts';
import { fileLabel, utf8Of } from './files.ts';
import { foreignModule } from './foreign.ts';
import { type FolderListing, listFolder } from './layout.ts';
import type { MigrationFiles } from './pairs.ts';
import { loadModule } from './load.ts';
import {
  type Migration,
  type Source,
  type SqlScript,
  type Share,
  SHARE_HINT,
  isForLint,
  shareOf,
} from '../migration.ts';
import { compareNames, type Naming, USUAL_NAMING } from './name.ts';
import { clashesOf } from './name-rules.ts';
import { excerptAt } from '../sql/locate.ts';
import { type ReadMigration, withSnapshots } from './snapshot.ts';
import { parseSqlFile, type SqlFile } from './sql-file.ts';
import { oneError } from './problems.ts';
import { isUntouched } from '../remedy.ts';

/** The migrations of a folder, in order. Folders of equal content may share one list. */
export interface MigrationSet {
  folder: string;
  migrations: readonly Migration[];
}

/** A folder as it was read, and what else is in it. */
export interface FolderSet extends MigrationSet, Pick<FolderListing, 'layout' | 'passedBy'> {}

/** Migrations that were read before, by content: five hundred equal folders are then parsed and held once. */
export type MigrationCache = Map<string, ReadMigration>;

/**
 * Reads, checks and loads every migration of a folder (engine 22).
 * @param cache shared by the folders of one run
 * @throws MpmError that names every problem of the folder at once: MIGRATION_INVALID, FOLDER_MISSING, FILE_SYSTEM
 */
export async function readMigrations(
  folder: string,
  source: Source,
  naming: Naming = USUAL_NAMING,
  cache: MigrationCache = new Map(),
  plugin?: string,
): Promise<FolderSet> {
  const reading = {
    sourceOf: () => source,
    pluginOf: () => plugin,
    ...(source === 'central' && { unphased: 'the central database' }),
  };
  const listing = listFolder(folder, naming);
  const { layout, passedBy } = listing;
  return { folder, migrations: await readListed(folder, listing, reading, cache), layout, passedBy };
}

/** How the files of a folder are to be taken. */
export interface Reading {
  sourceOf(file: string, checksum: string): Source;
  /** The plugin that a file belongs to. */
  pluginOf?(file: string): string | undefined;
  /** What they are, where no fleet is waited for: none may be of the contract phase. */
  unphased?: string;
  /** A file's checksum when it is known without reading it. */
  knownChecksum?(file: string): string | undefined;
}

/**
 * Reads what a listing names.
 * @throws MpmError as {@link readMigrations}
 */
export async function readListed(
  folder: string,
  listing: FolderListing,
  reading: Reading,
  cache: MigrationCache,
): Promise<Migration[]> {
  const problems = [...listing.problems];
  const migrations: ReadMigration[] = [];
  for (const files of listing.migrations) {
    try {
      const migration =
        knownMigration(files, reading, cache) ?? (await readMigration(folder, files, reading, cache));
      migrations.push(migration);
      if (reading.unphased !== undefined && migration.up.options.phase)
        problems.push(
          new MpmError(
            'MIGRATION_INVALID',
            `${files.file}: phase:contract is for migrations of tenants, not for ${reading.unphased}`,
            { subject: migration.path, migration: migration.name, hint: 'remove phase:contract' },
          ),
        );
    } catch (error) {
      if (error instanceof Problems) problems.push(...error.problems);
      else if (error instanceof MpmError) problems.push(error.with({ migration: files.name }));
      else throw error;
    }
  }
  const found = withSnapshots(migrations, (error) => {
    // A tenant's own folder may have other files, and then goes by them.
    if (migrations.every(({ source }) => source !== 'tenant')) problems.push(error);
  });
  if (problems.length) throw oneError(folder, problems);
  return found;
}

class Problems extends Error {
  readonly problems: MpmError[];
  constructor(problems: MpmError[]) {
    super('problems');
    this.problems = problems;
  }
}

function keyOf(
  source: Source,
  plugin: string | undefined,
  files: MigrationFiles,
  checksum: string,
  down: string | undefined,
): string {
  const { file, transaction = '', insteadOf = '' } = files;
  return `${source}\n${plugin ?? ''}\n${file}\n${checksum}\n${down ?? ''}\n${transaction}\n${insteadOf}`;
}

function knownMigration(
  files: MigrationFiles,
  reading: Reading,
  cache: MigrationCache,
): ReadMigration | undefined {
  const checksum = reading.knownChecksum?.(files.file);
  if (checksum === undefined) return undefined;
  const down = files.downFile === undefined ? undefined : reading.knownChecksum?.(files.downFile);
  if (files.downFile !== undefined && down === undefined) return undefined;
  const source = reading.sourceOf(files.file, checksum);
  return cache.get(keyOf(source, reading.pluginOf?.(files.file), files, checksum, down));
}

async function readMigration(
  folder: string,
  files: MigrationFiles,
  reading: Reading,
  cache: MigrationCache,
): Promise<ReadMigration> {
  const path = join(folder, files.file);
  const content = read(path);
  const fileChecksum = checksumOf(content);
  const source = reading.sourceOf(files.file, fileChecksum);
  const plugin = reading.pluginOf?.(files.file);
  const down = files.downFile === undefined ? undefined : join(folder, files.downFile);
  const downContent = down === undefined ? undefined : read(down);
  const key = keyOf(source, plugin, files, fileChecksum, downContent && checksumOf(downContent));
  const known = cache.get(key);
  if (known) return known;

  const { name, version } = files;
  const identity = {
    name,
    version,
    fileChecksum,
    source,
    ...(plugin === undefined ? {} : { plugin }),
    path,
    ...(isUntouched(content) && { untouched: true }),
  };
  const tool = foreignTool(files, path, content);
  let migration: ReadMigration;
  if (tool !== undefined) {
    const up = { kind: 'foreign' as const, path, tool, options: { transaction: true } };
    migration = { ...identity, checksum: checksumOfModule(fileChecksum), up };
  } else if (files.kind === 'module') {
    const share = shareOfModule(path, textOf(path, content));
    const checksum = checksumOfModule(fileChecksum);
    migration = { ...identity, checksum, ...(share && { share }), ...(await loadModule(path)) };
  } else {
    const defaults = { transaction: files.transaction ?? true };
    const text = textOf(path, content);
    const halves = [parseSqlFile(path, text, files.kind === 'pair' ? 'up' : 'both', defaults)];
    if (files.placeholders) halves[0]?.problems.push(...placeholderProblems(path, text));
    if (down !== undefined && downContent !== undefined) {
      halves.push(parseSqlFile(down, textOf(down, downContent), 'down', defaults));
    }
    const problems = halves
      .flatMap((half) => half.problems)
      .map((problem) => problem.with({ migration: name }));
    const { up, down: downScript } = Object.assign({}, ...halves) as SqlFile;
    if (problems.length || !up) throw new Problems(problems);
    const checksum = checksumOfSections(sectionOf(up), downScript && sectionOf(downScript));
    const { share, standsFor } = halves[0] ?? {};
    const { insteadOf } = files;
    migration = {
      ...identity,
      checksum,
      ...(insteadOf !== undefined && {
        insteadOf: checksumOfModule(checksumOf(read(join(folder, insteadOf)))),
      }),
      up,
      ...(downScript && { down: downScript }),
      ...(share && { share }),
      ...(standsFor && { standsFor }),
    };
  }
  cache.set(key, migration);
  return migration;
}

/** Whose a migration is that can't be run here; of a module, its text says it. */
function foreignTool({ kind, tool }: MigrationFiles, path: string, content: Uint8Array): string | undefined {
  if (kind === 'foreign') return tool;
  return kind === 'module' ? foreignModule(textOf(path, content)) : undefined;
}

/** Flyway would put values into the text, which is another one then. */
function placeholderProblems(path: string, text: string): MpmError[] {
  const [found] = text.matchAll(/\$\{[^}\s]+\}/g);
  if (!found) return [];
  const excerpt = excerptAt(path, text, found.index);
  return [
    new MpmError(
      'MIGRATION_INVALID',
      `${fileLabel(path)}:${excerpt.line}:${excerpt.column}: ${found[0]} is a placeholder, into which Flyway would put a value`,
      { subject: path, excerpt, hint: 'write the value in its place, in this file and wherever it has one' },
    ),
  ];
}

/** @throws MpmError MIGRATION_INVALID */
function shareOfModule(path: string, text: string): Share | undefined {
  const notes = [...text.matchAll(/^[ \t]*\/\/[ \t]*(mpm:\S+)/gm)].map(([, note = '']) => note);
  const said = notes.filter((note) => !isForLint(note));
  const shares = new Set(said.map(shareOf));
  if (shares.size <= 1 && !shares.has(undefined)) return [...shares][0];
  const message = `${fileLabel(path)}: ${said.join(' and ')}: no marker`;
  throw new MpmError('MIGRATION_INVALID', message, {
    subject: path,
    hint: SHARE_HINT.replaceAll('--', '//'),
  });
}

/** As it stands in the file: what is not sent counts as well, and what was only found out does not. */
function sectionOf({ text, sql, start, parts = [[start, start + sql.length]], ...script }: SqlScript) {
  const { options, written = options } = script;
  return { text: parts.map(([from, to]) => text.slice(from, to)).join('\n'), options: written };
}

/** @throws MpmError MIGRATION_INVALID */
function textOf(path: string, content: Uint8Array): string {
  return utf8Of(content, path, { name: fileLabel(path), code: 'MIGRATION_INVALID' });
}

function read(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new MpmError('FILE_SYSTEM', `${fileLabel(path)} cannot be read: ${(error as Error).message}`, {
      subject: path,
      hint: 'Check its permissions.',
      cause: error,
    });
  }
}

/**
 * Lists of migrations as one, in one order.
 * @throws MpmError MIGRATION_INVALID naming both files of each pair with the same version or name
 */
export function mergeMigrations(
  lists: readonly (readonly Migration[])[],
  naming: Naming = USUAL_NAMING,
): readonly Migration[] {
  const merged = lists.flat().sort((a, b) => compareNames(a.name, b.name, naming.order));
  const clashes = clashesOf(merged, naming, whereOf).map(
    ({ item, message, hint }) =>
      new MpmError('MIGRATION_INVALID', message, {
        subject: item.path,
        hint: `${hint}. A tenant's core and plugin migrations have one order.`,
      }),
  );
  const [first] = clashes;
  if (!first) return merged;
  throw oneError(dirname(first.subject ?? ''), clashes);
}

/** `plugins/meters/5_x.sql`, and of core just `core/5_x.sql`: what tells the two apart. */
function whereOf({ plugin, source, path }: Migration): string {
  const folder =
    plugin === undefined ? (source === 'tenant' ? "the tenant's own" : 'core') : `plugin ${plugin}`;
  return `${fileLabel(path)} (${folder})`;
}
