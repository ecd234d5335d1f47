import { mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Config } from '../../config/define.ts';
import { MpmError } from '../../errors.ts';
import { isMigrationFile } from '../../engine/source/files.ts';
import { compareVersions, parseFileName, nextVersion, slugOf, versionOf } from '../../engine/source/name.ts';
import { fill, readTemplate } from './init.ts';

export interface CreateOptions {
  /** Default `ts`. */
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
  name: string;
  /** How many core migrations were copied first, because the tenant had no folder yet. */
  copied: number;
}

/**
 * Writes a new migration from a template.
 * @throws MpmError MIGRATION_NAME, FILE_EXISTS, FILE_SYSTEM; for a tenant also UNKNOWN_TENANT, TENANT_FOLDER
 */
export async function createMigration(
  config: Config,
  wanted: string,
  options: CreateOptions = {},
): Promise<CreatedMigration> {
  const { kind = 'ts', central, tenant, now = new Date() } = options;
  const slug = slugOf(wanted);
  const template = readTemplate(config, `migration.${kind}`);
  const { folder, copied } =
    tenant === undefined
      ? { folder: central ? config.migrations.central : config.migrations.core, copied: 0 }
      : await folderOfTenant(config, tenant);
  const here = namesIn(folder);
  const same = here.find((file) => parseFileName(file)?.slug === slug);
  if (same) {
    throw new MpmError('FILE_EXISTS', `${same} has that name already`, {
      subject: join(folder, same),
      hint: 'Give the new one another name, or edit that one if it was applied nowhere yet.',
    });
  }
  // A tenant's own must not take a number that core has, or is about to bring.
  const taken = (own?: string): string[] =>
    numbered([
      ...namesIn(folder).filter((file) => file !== own),
      ...(tenant === undefined ? [] : namesIn(config.migrations.core)),
    ]);
  const known = taken();
  const isNow = nextVersion(known, now) === nextVersion([], now);
  const since = isNow ? now.getTime() - DAY : 0;
  const elsewhere = central ? [] : versionsElsewhere(config, tenant === undefined, since);
  for (let version = nextVersion(known, now, elsewhere); ; version = nextVersion(taken(), now, elsewhere)) {
    const name = `${version}_${slug}`;
    const path = join(folder, `${name}.${kind}`);
    write(path, fill(template, { name, slug, version }));
    // Another process may have taken the number in the meantime: who sees that gives way (fleet 55).
    if (!taken(`${name}.${kind}`).some((other) => compareVersions(other, version) === 0))
      return { path, name, copied };
    rmSync(path);
    await sleep(Math.random() * 50);
  }
}

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
  if (namesIn(folder).length) return { folder, copied: 0 };
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
function versionsElsewhere(config: Config, isCore: boolean, since: number): string[] {
  const { plugins, tenants } = config.migrations;
  const folders = [...foldersIn(plugins), ...(isCore ? foldersIn(tenants) : [])];
  const names = new Set<string>();
  for (const folder of folders) {
    const touched = statSync(folder, { throwIfNoEntry: false })?.mtimeMs ?? 0;
    if (touched >= since) for (const file of namesIn(folder)) names.add(file);
  }
  return numbered([...names]);
}

/** The names of files that have a version. */
function numbered(files: readonly string[]): string[] {
  return files.flatMap((file) => parseFileName(file)?.name ?? []).filter((name) => versionOf(name));
}

function foldersIn(folder: string): string[] {
  try {
    return readdirSync(folder, { withFileTypes: true })
      .filter((entry) => !entry.isFile() && !entry.name.startsWith('.'))
      .map((entry) => join(folder, entry.name));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw unreadable(folder, error);
  }
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).filter(isMigrationFile);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return [];
    throw unreadable(folder, error);
  }
}

function unreadable(folder: string, error: unknown): MpmError {
  return new MpmError('FILE_SYSTEM', `${folder} cannot be read: ${(error as Error).message}`, {
    subject: folder,
    hint: 'Check the path and its permissions.',
    cause: error,
  });
}
