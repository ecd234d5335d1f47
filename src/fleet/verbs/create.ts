import { existsSync, mkdirSync, readdirSync, rmdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '../../config/define.ts';
import { oneError } from '../../engine/source/problems.ts';
import { addToJournal } from '../../engine/source/journal.ts';
import { type FolderListing, listFolder } from '../../engine/source/layout.ts';
import {
  compareNames,
  type Naming,
  parseFileName,
  USUAL_NAMING,
  versionKey,
  versionOf,
} from '../../engine/source/name.ts';
import { slugOf, nextName } from '../../engine/source/next-name.ts';
import { JOURNAL } from '../../engine/source/neighbours.ts';
import { type NewFiles, newFilesIn, type Sections, textFor } from '../../engine/source/new-files.ts';
import { MpmError } from '../../errors.ts';
import { fill, readTemplate } from './init.ts';

export interface CreateOptions {
  /** Default: as the last migration there; `ts` where all are named as `create` names them. */
  kind?: 'ts' | 'sql';
  /** The product's own central migrations. */
  central?: boolean;
  /** A tenant's own: id, name or database. */
  tenant?: string;
  now?: Date;
}

/** A migration that was just written. */
export interface CreatedMigration {
  path: string;
  /** Its other file: the half that goes down. */
  more?: string[];
  name: string;
  /** How many core migrations were copied first, because the tenant had no folder yet. */
  copied: number;
}

/**
 * Writes a new migration in the form of the folder's last one, from a template.
 * @throws MpmError MIGRATION_NAME, FILE_EXISTS, FILE_SYSTEM; MIGRATION_INVALID for what is wrong with names in the folder; for a tenant also UNKNOWN_TENANT, TENANT_FOLDER
 */
export async function createMigration(
  config: Config,
  wanted: string,
  options: CreateOptions = {},
): Promise<CreatedMigration> {
  const { central, tenant, now = new Date() } = options;
  const slug = slugOf(wanted);
  const { folder, copied } =
    tenant === undefined
      ? { folder: central ? config.migrations.central : config.migrations.core, copied: 0 }
      : await folderOfTenant(config, tenant);
  const naming = central ? USUAL_NAMING : config.migrations;
  const listing = await wholeListing(folder, naming);
  const same = listing.migrations.find(({ name }) => parseFileName(`${name}.sql`)?.slug === slug);
  if (same) {
    throw new MpmError('FILE_EXISTS', `${same.file} has that name already`, {
      subject: join(folder, same.file),
      hint: 'Give the new one another name, or edit that one if it was applied nowhere yet.',
    });
  }
  const form = newFilesIn(folder, listing, options.kind);
  const text = textsOf(config, form, slug);
  // A tenant's own must not take a number that core has, or is about to bring.
  const taken = (own?: string): string[] =>
    [folder, ...(tenant === undefined ? [] : [config.migrations.core])]
      .flatMap((each) => listingOf(each, naming).migrations)
      .map(({ name }) => name)
      .filter((name) => name !== own)
      .toSorted((a, b) => compareNames(a, b, naming.order));
  const nameFor = (names: string[], elsewhere: string[] = []) =>
    nextName(slug, { names, elsewhere, order: naming.order, now });
  const known = taken();
  const isNow = versionOf(nameFor(known)) === versionOf(nameFor([]));
  const since = isNow ? now.getTime() - DAY : 0;
  const elsewhere = central ? [] : namesElsewhere(config, tenant === undefined, since);
  for (let name = nameFor(known, elsewhere); ; name = nameFor(taken(), elsewhere)) {
    const written = form.filesOf(name).map(({ file, sections }) => ({ path: join(folder, file), sections }));
    for (const { path, sections } of written) write(path, text(name, sections));
    // Another process may have taken the number in the meantime: who sees that gives way (fleet 55).
    const key = versionKey(name);
    if (key === '' || !taken(name).some((other) => versionKey(other) === key)) {
      await addToJournal(folder, name, now);
      const [path = '', ...more] = written.map((each) => each.path);
      return { path, ...(more.length && { more }), name, copied };
    }
    for (const { path } of written) rmSync(path);
    if (/\/(?:migration|up)\.sql$/.test(written[0]?.path ?? '')) rmdirSync(dirname(written[0]?.path ?? ''));
    await sleep(Math.random() * 50);
  }
}

/** What stands in the files: the user's template or ours where the markers are ours. */
function textsOf(config: Config, form: NewFiles, slug: string): (name: string, sections: Sections) => string {
  const ours = form.kind === 'ts' || form.tool === 'mpm-migrate';
  if (!ours) return (name, sections) => textFor(form, sections, name);
  const template = readTemplate(config, `migration.${form.kind}`);
  return (name) => fill(template, { name, slug, version: versionOf(name) });
}

/**
 * @throws MpmError MIGRATION_INVALID for what is wrong with names: nobody could say that the new one is the last
 */
async function wholeListing(folder: string, naming: Naming): Promise<FolderListing> {
  for (let tries = 0; ; tries += 1) {
    const listing = listingOf(folder, naming);
    if (!listing.problems.length) return listing;
    // Another process may be about to write the entry of the file that it has just written.
    if (tries >= 40 || !existsSync(join(folder, JOURNAL))) throw oneError(folder, listing.problems);
    await sleep(50);
  }
}

function listingOf(folder: string, naming: Naming): FolderListing {
  try {
    return listFolder(folder, naming);
  } catch (error) {
    if (error instanceof MpmError && error.code === 'FOLDER_MISSING') return NOTHING;
    throw error;
  }
}

const NOTHING: FolderListing = { layout: '', migrations: [], passedBy: [], problems: [] };

function write(path: string, text: string): void {
  try {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text, { flag: 'wx' });
  } catch (error) {
    const exists = (error as NodeJS.ErrnoException).code === 'EEXIST';
    throw new MpmError(
      exists ? 'FILE_EXISTS' : 'FILE_SYSTEM',
      `${path} cannot be written: ${(error as Error).message}`,
      {
        subject: path,
        hint: exists ? 'Run it again.' : 'Check the folder and its permissions.',
        cause: error,
      },
    );
  }
}

/** A folder of its own is all that a tenant is applied: a new one begins with what core has. */
async function folderOfTenant(config: Config, wanted: string): Promise<{ folder: string; copied: number }> {
  const [{ withCentral }, { findTenant }, { folderFor, writeOwner }, { readCoreFolder, syncFolder }] =
    await Promise.all([
      import('../../central/central.ts'),
      import('../../central/list/tenants.ts'),
      import('../../tenants/folders/own-folder.ts'),
      import('../../tenants/folders/sync-folder.ts'),
    ]);
  const tenant = await withCentral(config, (central) => findTenant(central, wanted));
  const folder = folderFor(tenant, config);
  if (listingOf(folder, config.migrations).migrations.length) return { folder, copied: 0 };
  writeOwner(folder, tenant);
  const { copy } = syncFolder(
    await readCoreFolder(config.migrations.core, config.migrations),
    folder,
    tenant,
    {},
  );
  return { folder, copied: copy.length };
}

const DAY = 86_400_000;

/**
 * The names of what meets the new migration in a tenant: plugins, and for a core one all tenants' own.
 * @param since in ms: a folder of five thousand that nobody touched since holds no number of this second, and is not read
 */
function namesElsewhere({ migrations }: Config, isCore: boolean, since: number): string[] {
  const folders = [...foldersIn(migrations.plugins), ...(isCore ? foldersIn(migrations.tenants) : [])];
  const names = new Set<string>();
  for (const folder of folders) {
    const touched = statSync(folder, { throwIfNoEntry: false })?.mtimeMs ?? 0;
    if (touched < since) continue;
    for (const { name, version } of listingOf(folder, migrations).migrations) if (version) names.add(name);
  }
  return [...names];
}

function foldersIn(folder: string): string[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter((entry) => !entry.isFile() && !entry.name.startsWith('.'))
      .map((entry) => join(folder, entry.name));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw new MpmError('FILE_SYSTEM', `${folder} cannot be read: ${(error as Error).message}`, {
      subject: folder,
      hint: 'Check the path and its permissions.',
      cause: error,
    });
  }
}
