import {
  constants,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  utimesSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { MpmError } from '../../errors.ts';
import { checksumOfFile } from '../../engine/source/checksum.ts';
import { readFolder } from '../../engine/source/files.ts';
import { listFolder } from '../../engine/source/layout.ts';
import { compareNames, type Naming } from '../../engine/source/name.ts';
import { clashesOf } from '../../engine/source/name-rules.ts';
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
  const names = new Map(
    migrations.flatMap(({ name, file, downFile, beside, insteadOf }) =>
      [file, downFile, beside, insteadOf].flatMap((each) =>
        each === undefined ? [] : [[each, name] as const],
      ),
    ),
  );
  const { inside, outside } = await supportsOf(folder, [...names.keys()]);
  const files = [...names.keys(), ...inside].map((file): [string, CoreFile] => {
    const path = join(folder, file);
    const name = names.get(file);
    const about = { ...(plugin !== undefined && { plugin }), ...(name !== undefined && { name }) };
    return [file, { file, folder, checksum: checksumOfFile(path), size: statSync(path).size, ...about }];
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
  const migrations = folders.flatMap(({ files }) =>
    [...files.values()].filter(({ name }, at, list) => name !== undefined && list[at - 1]?.name !== name),
  );
  const named = migrations.flatMap((each) => (each.name === undefined ? [] : [{ ...each, name: each.name }]));
  named.sort((a, b) => compareNames(a.name, b.name, core.naming.order));
  const problems = clashesOf(named, core.naming, ({ folder, file }) => join(folder, file)).map(
    ({ item, message, hint }) =>
      new MpmError('MIGRATION_INVALID', message, { subject: join(item.folder, item.file), hint }),
  );
  const files = new Map<string, CoreFile>();
  for (const each of all) {
    const other = files.get(each.file);
    const isSupport = other && each.name === undefined;
    if (isSupport && other.checksum !== each.checksum) problems.push(twoSupports(other, each));
    files.set(each.file, each);
  }
  if (problems.length) throw oneError(core.folder, problems);
  return { ...core, files, outside: folders.flatMap(({ outside }) => outside) };
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
    // What migrations import may lie deeper than migrations do.
    for (const file of new Set([...core.files.keys(), ...Object.keys(manifest.copies)])) {
      if (present && !present.has(file) && existsSync(join(folder, file))) present.add(file);
    }
    const inspection = inspect(folder, manifest);
    const plan = planFolder(core, manifest, folder, present ?? new Set(), inspection.contentOf, options);
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

/** The files in a folder and in those in it, without what a killed run left; undefined when there is no folder. */
function filesOf(folder: string, lookOnly: boolean): Set<string> | undefined {
  if (!existsSync(folder)) return undefined;
  const { paths, passedBy } = readFolder(folder);
  for (const path of lookOnly ? [] : [...paths, ...passedBy.map((each) => each.path)]) {
    if (isLeftover(path.replace(/\/$/, ''))) rmSync(join(folder, path), { recursive: true, force: true });
  }
  return new Set(paths.filter((path) => !path.endsWith('/') && !path.startsWith('.')));
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
  prune(folder, plan.prune);
  const recorded: Record<string, Copy> = { ...before.copies };
  for (const file of plan.copy) {
    const copy = plan.copies[file];
    if (copy) recorded[file] = copy;
  }
  // First: what is not in it would be the tenant's own, if the copying were cut off.
  if (plan.copy.length) writeManifest(folder, { tenant, copies: recorded });
  for (const group of byFolder(files)) {
    const temporary = join(folder, temporaryName());
    try {
      // A folder without its migration would be refused: a new one comes with what is in it.
      const place = group.folder === undefined ? folder : join(folder, group.folder);
      const within = !existsSync(place);
      if (within) mkdirSync(temporary);
      for (const file of group.files) {
        const copy = within ? join(temporary, basename(file)) : temporary;
        copyFileSync(
          join(core.files.get(file)?.folder ?? core.folder, file),
          copy,
          constants.COPYFILE_FICLONE,
        );
        utimesSync(copy, ...times(plan.copies[file]?.checksum ?? ''));
        if (!within) renameSync(copy, join(folder, file));
      }
      if (!within) continue;
      mkdirSync(dirname(place), { recursive: true });
      renameSync(temporary, place);
    } catch (error) {
      rmSync(temporary, { recursive: true, force: true });
      throw error;
    }
  }
  if (!isSame(plan.copies, recorded)) writeManifest(folder, { tenant, copies: plan.copies });
}

/** Files together with those of the same folder. */
function byFolder(files: readonly string[]): { folder: string | undefined; files: string[] }[] {
  const groups = new Map<string, string[]>();
  for (const file of files) {
    const key = file.includes('/') ? dirname(file) : '';
    const group = key === '' ? undefined : groups.get(key);
    if (group) group.push(file);
    else groups.set(key || `/${file}`, [file]);
  }
  return [...groups].map(([key, its]) => ({ folder: key.startsWith('/') ? undefined : key, files: its }));
}

/** Removes files, and the folders that they leave empty: such a one would be a migration without its file. */
function prune(folder: string, files: readonly string[]): void {
  for (const group of byFolder(files)) {
    const path = group.folder === undefined ? undefined : join(folder, group.folder);
    const there = path !== undefined && existsSync(path) ? readdirSync(path) : undefined;
    const names = new Set(group.files.map((file) => basename(file)));
    if (path !== undefined && there?.every((name) => names.has(name))) {
      const temporary = join(folder, temporaryName());
      renameSync(path, temporary);
      rmSync(temporary, { recursive: true, force: true });
    } else for (const file of group.files) rmSync(join(folder, file), { force: true });
  }
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
