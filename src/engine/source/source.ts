import { readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { MpmError } from '../../errors.ts';
import { checksumOf, checksumOfModule, checksumOfSections } from './checksum.ts';
import { type FolderListing, listFolder, type MigrationFiles, utf8Of } from './files.ts';
import { loadModule } from './load.ts';
import {
  type Migration,
  type Source,
  type SqlScript,
  type Share,
  SHARE_HINT,
  shareOf,
} from '../migration.ts';
import { compareNames, compareVersions } from './name.ts';
import { parseSqlFile, type SqlFile } from './sql-file.ts';
import { isUntouched } from '../remedy.ts';

/** The migrations of a folder, in order. Folders of equal content may share one list. */
export interface MigrationSet {
  folder: string;
  migrations: readonly Migration[];
}

/** Migrations that were read before, by content: five hundred equal folders are then parsed and held once. */
export type MigrationCache = Map<string, Migration>;

/**
 * Reads, checks and loads every migration of a folder (engine 22).
 * @param cache shared by the folders of one run
 * @throws MpmError that names every problem of the folder at once: MIGRATION_INVALID, FOLDER_MISSING, FILE_SYSTEM
 */
export async function readMigrations(
  folder: string,
  source: Source,
  cache: MigrationCache = new Map(),
  plugin?: string,
): Promise<MigrationSet> {
  const reading = { sourceOf: () => source, pluginOf: () => plugin };
  return { folder, migrations: await readListed(folder, listFolder(folder), reading, cache) };
}

/** How the files of a folder are to be taken. */
export interface Reading {
  sourceOf(file: string, checksum: string): Source;
  /** The plugin that a file belongs to. */
  pluginOf?(file: string): string | undefined;
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
  const migrations: Migration[] = [];
  for (const files of listing.migrations) {
    try {
      migrations.push(
        knownMigration(files, reading, cache) ?? (await readMigration(folder, files, reading, cache)),
      );
    } catch (error) {
      if (error instanceof Problems) problems.push(...error.problems);
      else if (error instanceof MpmError) problems.push(error.with({ migration: files.name }));
      else throw error;
    }
  }
  if (problems.length) throw oneError(folder, problems);
  return migrations;
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
  return `${source}\n${plugin ?? ''}\n${files.file}\n${checksum}\n${down ?? ''}`;
}

function knownMigration(
  files: MigrationFiles,
  reading: Reading,
  cache: MigrationCache,
): Migration | undefined {
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
): Promise<Migration> {
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
  let migration: Migration;
  if (files.kind === 'module') {
    const share = shareOfModule(path, textOf(path, content));
    const checksum = checksumOfModule(fileChecksum);
    migration = { ...identity, checksum, ...(share && { share }), ...(await loadModule(path)) };
  } else {
    const halves = [parseSqlFile(path, textOf(path, content), files.kind === 'pair' ? 'up' : 'both')];
    if (down !== undefined && downContent !== undefined) {
      halves.push(parseSqlFile(down, textOf(down, downContent), 'down'));
    }
    const problems = halves
      .flatMap((half) => half.problems)
      .map((problem) => problem.with({ migration: name }));
    const { up, down: downScript } = Object.assign({}, ...halves) as SqlFile;
    if (problems.length || !up) throw new Problems(problems);
    const checksum = checksumOfSections(sectionOf(up), downScript && sectionOf(downScript));
    const share = halves[0]?.share;
    migration = {
      ...identity,
      checksum,
      up,
      ...(downScript && { down: downScript }),
      ...(share && { share }),
    };
  }
  cache.set(key, migration);
  return migration;
}

/** @throws MpmError MIGRATION_INVALID */
function shareOfModule(path: string, text: string): Share | undefined {
  const said = [...text.matchAll(/^[ \t]*\/\/[ \t]*(mpm:\S+)/gm)].map(([, note = '']) => note);
  const shares = new Set(said.map(shareOf));
  if (shares.size <= 1 && !shares.has(undefined)) return [...shares][0];
  const message = `${basename(path)}: ${said.join(' and ')}: no marker`;
  throw new MpmError('MIGRATION_INVALID', message, {
    subject: path,
    hint: SHARE_HINT.replaceAll('--', '//'),
  });
}

/** As it stands in the file: what is not sent counts as well. */
function sectionOf({ text, sql, start, options }: SqlScript) {
  return { text: text.slice(start, start + sql.length), options };
}

/** @throws MpmError MIGRATION_INVALID */
function textOf(path: string, content: Uint8Array): string {
  return utf8Of(content, path, { name: basename(path), code: 'MIGRATION_INVALID' });
}

function read(path: string): Uint8Array {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new MpmError('FILE_SYSTEM', `${basename(path)} cannot be read: ${(error as Error).message}`, {
      subject: path,
      hint: 'Check its permissions.',
      cause: error,
    });
  }
}

const SHOWN = 20;

/** One problem as it is; several as a list, with the excerpt of the first. */
export function oneError(folder: string, problems: MpmError[]): MpmError {
  const [first] = problems;
  if (problems.length === 1 && first) return first;
  const lines = problems
    .slice(0, SHOWN)
    .map(({ message, hint }) => `  ${message}${hint ? `\n    → ${hint}` : ''}`);
  if (problems.length > SHOWN) lines.push(`  … and ${problems.length - SHOWN} more`);
  const code = problems.every((problem) => problem.code === 'FILE_SYSTEM')
    ? 'FILE_SYSTEM'
    : 'MIGRATION_INVALID';
  return new MpmError(code, `${problems.length} problems in ${folder}\n${lines.join('\n')}`, {
    subject: folder,
    ...(first?.excerpt && { excerpt: first.excerpt }),
    hint: 'Fix them all. No database was touched.',
  });
}

/**
 * Lists of migrations as one, in one order.
 * @throws MpmError MIGRATION_INVALID naming both files of each pair with the same version or name
 */
export function mergeMigrations(lists: readonly (readonly Migration[])[]): readonly Migration[] {
  const merged = lists.flat().sort((a, b) => compareNames(a.name, b.name));
  const clashes = merged.flatMap((second, index) => {
    const first = merged[index - 1];
    return first && compareVersions(first.version, second.version) === 0 ? [describe(first, second)] : [];
  });
  if (!clashes.length) return merged;
  throw new MpmError('MIGRATION_INVALID', clashes.slice(0, 5).join('\n'), {
    subject: clashes[0] ?? '',
    hint: "Give another number to the one that isn't applied anywhere yet. A tenant's core and plugin migrations have one order.",
  });
}

function describe(first: Migration, second: Migration): string {
  const same = first.name === second.name ? 'have the same name' : `have the same version, ${second.version}`;
  return `${whereOf(first)} and ${whereOf(second)} ${same}`;
}

/** `plugins/meters/5_x.sql`, and of core just `core/5_x.sql`: what tells the two apart. */
function whereOf({ plugin, source, path }: Migration): string {
  const folder =
    plugin === undefined ? (source === 'tenant' ? "the tenant's own" : 'core') : `plugin ${plugin}`;
  return `${basename(path)} (${folder})`;
}
