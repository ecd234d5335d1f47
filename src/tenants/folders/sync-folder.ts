import {
  constants,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmdirSync,
  rmSync,
  type Stats,
  statSync,
  utimesSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { MpmError } from '../../errors.ts';
import { checksumOfFile } from '../../engine/source/checksum.ts';
import { isMigrationFile } from '../../engine/source/files.ts';
import { arrange, listFolder } from '../../engine/source/layout.ts';
import type { Naming } from '../../engine/source/name.ts';
import { oneError } from '../../engine/source/problems.ts';
import { type Supports, supportsOf } from '../../engine/module/module-state.ts';
import {
  type Copy,
  isUntouched,
  type Manifest,
  mtimeOf,
  type Owner,
  readManifest,
  temporaryName,
  writeManifest,
} from './manifest.ts';
import { type CoreFile, type FolderPlan, planFolder, type SyncFlags } from './sync-plan.ts';

/** The core folder as `sync` needs it: names and checksums, no content. */
export interface CoreFolder {
  folder: string;
  naming: Naming;
  /** Migrations, and what they import from the folder by relative paths. */
  files: ReadonlyMap<string, CoreFile>;
  /** What migrations import that lies outside of the folder, where a copy does not find it. */
  outside: Supports['outside'];
}

/**
 * Reads the core folder, or a plugin's, for copying; each file once, in pieces.
 * @throws MpmError FOLDER_MISSING, MIGRATION_INVALID for what is wrong with its names
 */
export async function readCoreFolder(folder: string, naming: Naming, plugin?: string): Promise<CoreFolder> {
  const { migrations, problems } = listFolder(folder, naming);
  if (problems.length) throw oneError(folder, problems);
  const names = migrations.flatMap(({ file, downFile }) =>
    downFile === undefined ? [file] : [file, downFile],
  );
  const { inside, outside } = await supportsOf(folder, names);
  const files = [...names, ...inside].map((file): [string, CoreFile] => {
    const path = join(folder, file);
    const own = plugin === undefined ? {} : { plugin };
    return [file, { file, folder, checksum: checksumOfFile(path), size: statSync(path).size, ...own }];
  });
  return { folder, naming, files: new Map(files), outside };
}

/**
 * Core with the files of plugins.
 * @throws MpmError MIGRATION_INVALID when two of them have the same version or name
 */
export function withPluginFiles(core: CoreFolder, plugins: readonly CoreFolder[]): CoreFolder {
  const folders = [core, ...plugins];
  const all = folders.flatMap(({ files }) => [...files.values()]);
  const names = all.map(({ file }) => file);
  const { problems } = arrange(core.folder, names, core.naming, isRead);
  const files = new Map<string, CoreFile>();
  for (const each of all) {
    const other = files.get(each.file);
    if (other && other.checksum !== each.checksum) problems.push(twoSupports(other, each));
    files.set(each.file, each);
  }
  if (problems.length) throw oneError(core.folder, problems);
  return { ...core, files, outside: folders.flatMap(({ outside }) => outside) };
}

/** Each of the folders was read by itself: what has no number in one of them is a migration. */
const isRead = (): boolean => true;

/** What migrations import lies in sub-folders, or is no module. */
function isTopLevel(file: string): boolean {
  return !file.includes('/') && isMigrationFile(file);
}

function twoSupports(one: CoreFile, other: CoreFile): MpmError {
  const path = join(other.folder, other.file);
  return new MpmError(
    'MIGRATION_INVALID',
    `${join(one.folder, one.file)} and ${path} have one place in a tenant's folder`,
    {
      subject: path,
      hint: 'Give one of the two another name, and correct the imports.',
    },
  );
}

export interface SyncFolderOptions extends SyncFlags {
  /** Change nothing; say what would be done. */
  dryRun?: boolean;
}

/**
 * Brings one tenant's folder up to core. Each file is written beside its place and renamed, so that a run that
 * is killed leaves none by halves; with a clash, nothing is done.
 * @throws MpmError FILE_SYSTEM, TENANT_FOLDER
 */
export function syncFolder(
  core: CoreFolder,
  folder: string,
  owner: Owner,
  options: SyncFolderOptions,
): FolderPlan {
  try {
    const present = filesOf(folder, options.dryRun === true);
    const manifest = present ? readManifest(folder) : { version: 1 as const, copies: {} };
    for (const file of new Set([...core.files.keys(), ...Object.keys(manifest.copies)])) {
      if (!isTopLevel(file) && existsSync(join(folder, file))) present?.add(file);
    }
    const inspection = inspect(folder, manifest);
    const plan = planFolder(core, manifest, present ?? new Set(), inspection.contentOf, options);
    if (!options.dryRun && !plan.clashes.length) {
      apply(core, folder, plan, { owner, before: manifest, isNew: present === undefined });
      inspection.confirm(plan);
    }
    return plan;
  } catch (error) {
    if (error instanceof MpmError) throw error;
    throw new MpmError('FILE_SYSTEM', `${folder}: ${(error as Error).message}`, {
      subject: folder,
      hint: 'Fix the cause, and then run mpm-migrate sync again: it continues where it stopped.',
      cause: error,
    });
  }
}

/** The migrations in a folder, without what a killed run left; undefined when there is no folder. */
function filesOf(folder: string, lookOnly: boolean): Set<string> | undefined {
  let all: string[];
  try {
    all = readdirSync(folder);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  const files = new Set<string>();
  for (const file of all) {
    if (isMigrationFile(file)) files.add(file);
    else if (!lookOnly && isLeftover(file)) rmSync(join(folder, file), { force: true });
  }
  return files;
}

/** Says what files hold, reading only those that size and time do not vouch for. */
function inspect(folder: string, { copies }: Manifest) {
  const read = new Map<string, { copy: Copy; stat: Stats }>();
  const contentOf = (file: string): Copy => {
    const path = `${folder}/${file}`;
    const stat = statSync(path);
    const known = Object.hasOwn(copies, file) ? copies[file] : undefined;
    if (known && isUntouched(known, stat)) return known;
    const copy = read.get(file)?.copy ?? { checksum: checksumOfFile(path), size: stat.size };
    read.set(file, { copy, stat });
    return copy;
  };
  /** After a fresh checkout every file has another time: given its own again, it need not be read next time. */
  const confirm = ({ unchanged }: FolderPlan): void => {
    for (const file of unchanged) {
      const found = read.get(file);
      if (found) setTime(join(folder, file), found.copy.checksum);
    }
  };
  return { contentOf, confirm };
}

function apply(
  core: CoreFolder,
  folder: string,
  plan: FolderPlan,
  { owner: { id, server, database }, before, isNew }: { owner: Owner; before: Manifest; isNew: boolean },
): void {
  const tenant = { id, server, database };
  const files = [...plan.copy, ...plan.update];
  if (isNew && files.length) mkdirSync(folder, { recursive: true });
  for (const file of plan.prune) removeFile(folder, file);
  const recorded: Record<string, Copy> = { ...before.copies };
  for (const file of plan.copy) {
    const copy = plan.copies[file];
    if (copy) recorded[file] = copy;
  }
  // First: what is not in it would be the tenant's own, if the copying were cut off.
  if (plan.copy.length) writeManifest(folder, { tenant, copies: recorded });
  for (const file of files) {
    const temporary = join(folder, temporaryName());
    if (!isTopLevel(file)) mkdirSync(dirname(join(folder, file)), { recursive: true });
    try {
      copyFileSync(
        join(core.files.get(file)?.folder ?? core.folder, file),
        temporary,
        constants.COPYFILE_FICLONE,
      );
      utimesSync(temporary, ...times(plan.copies[file]?.checksum ?? ''));
      renameSync(temporary, join(folder, file));
    } catch (error) {
      rmSync(temporary, { force: true });
      throw error;
    }
  }
  if (!isSame(plan.copies, recorded)) writeManifest(folder, { tenant, copies: plan.copies });
}

/** And its sub-folder, which would be a migration without a file. */
function removeFile(folder: string, file: string): void {
  rmSync(join(folder, file), { force: true });
  if (file.includes('/') && readdirSync(dirname(join(folder, file))).length === 0)
    rmdirSync(dirname(join(folder, file)));
}

function isSame(a: Readonly<Record<string, Copy>>, b: Readonly<Record<string, Copy>>): boolean {
  const files = Object.keys(a);
  return (
    files.length === Object.keys(b).length &&
    files.every(
      (file) =>
        a[file]?.checksum === b[file]?.checksum &&
        a[file]?.size === b[file]?.size &&
        a[file]?.plugin === b[file]?.plugin,
    )
  );
}

function times(checksum: string): [atime: number, mtime: number] {
  const seconds = mtimeOf(checksum);
  return [seconds, seconds];
}

/** Only saves work: where it is not permitted, files are read again. */
function setTime(path: string, checksum: string): void {
  try {
    utimesSync(path, ...times(checksum));
  } catch {
    // As said.
  }
}

const LEFTOVER = /^\.mpm-migrate-(\d+)-\d+\.tmp$/;
/** A temporary file whose process is gone. */
function isLeftover(file: string): boolean {
  const pid = LEFTOVER.exec(file)?.[1];
  if (pid === undefined || Number(pid) === process.pid) return false;
  try {
    process.kill(Number(pid), 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}
