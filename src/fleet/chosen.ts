import { existsSync, realpathSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join, resolve, sep } from 'node:path';
import type { Config } from '../config/define.ts';
import { asMpmError, type ErrorCode, MpmError } from '../errors.ts';
import type { Migration } from '../engine/migration.ts';
import { compareNames, isCalled } from '../engine/source/name.ts';
import { collecting, oneError } from '../engine/source/problems.ts';
import { readMigrations } from '../engine/source/source.ts';
import { readPlugins } from '../tenants/folders/plugins.ts';
import { type Changed, changedSince } from '../lint/changed.ts';
import type { FleetFiles } from './files.ts';
import type { LintReport } from './report/lint-report.ts';
import { keyOf, readApplied } from './unapplied.ts';

/** Migrations in one order, and which of them are judged. */
export interface Chosen {
  migrations: readonly Migration[];
  chosen(migration: Migration): boolean;
}

type How = Pick<LintReport, 'chosen' | 'since' | 'notices'> & { sets: Chosen[] };

/**
 * Which migrations are new: those that are named; that no tenant has applied; that this branch changes; else all.
 * @param shared what all tenants have, and every plugin's
 * @throws MpmError USAGE for a name that is none; GIT; INTERRUPTED
 */
export async function chooseMigrations(
  config: Config,
  { files, shared }: { files: FleetFiles; shared: readonly Migration[] },
  { files: named = [], since, signal }: { files?: readonly string[]; since?: string; signal?: AbortSignal },
): Promise<How> {
  if (named.length && since !== undefined) {
    throw new MpmError('USAGE', "--since can't be combined with files", { hint: 'Leave one of them out.' });
  }
  if (named.length) return chooseNamed(config, shared, named);
  const notices: string[] = [];
  if (since === undefined && !config.central.absent) {
    try {
      return await chooseUnapplied(config, { files, shared }, signal);
    } catch (error) {
      const known = asMpmError(error);
      if (signal?.aborted || !UNREADABLE.has(known.code)) throw error;
      notices.push(`The central database can't be asked what tenants have applied: ${known.message}`);
    }
  }
  const changed = await changedSince(config.root, since);
  if (!changed) {
    const why = 'there is neither a central database nor a main branch in Git to tell which are new';
    return {
      chosen: 'all',
      notices: [...notices, `Judges all migrations: ${why}.`],
      sets: await setsOf(config, shared, { chosen: () => true }),
    };
  }
  return {
    chosen: 'changed',
    since: { name: changed.since, base: changed.base },
    notices,
    sets: await setsOf(config, shared, {
      chosen: (migration) => isChanged(migration, changed),
      folders: (folder) =>
        [...changed.files].some((file) => file.startsWith(`${realpathSync(folder)}${sep}`)),
    }),
  };
}

/** Whether the central database can't be read, though it is configured. */
export function isUnreadable({ code }: MpmError): boolean {
  return UNREADABLE.has(code);
}

/** Why the central database can't be read, though it is configured: what is new is told by Git then. */
const UNREADABLE: ReadonlySet<ErrorCode> = new Set([
  'CONNECTION',
  'PASSWORD',
  'DATABASE_MISSING',
  'CENTRAL_BEHIND',
  'CENTRAL_INVALID',
  'CENTRAL_FAILED',
  'UNKNOWN_SERVER',
]);

async function chooseUnapplied(
  config: Config,
  { files, shared }: { files: FleetFiles; shared: readonly Migration[] },
  signal: AbortSignal | undefined,
): Promise<How> {
  const { keys, own, unknown } = await readApplied(config, files, { ...(signal && { signal }) });
  const chosen = (migration: Migration) => !keys.has(keyOf(migration));
  const lists = new Set(own.values());
  const tenants = [...lists].map((migrations) => ({
    migrations,
    chosen: (migration: Migration) => migration.source === 'tenant' && chosen(migration),
  }));
  const notices = unknown
    ? [
        `${unknown} ${unknown === 1 ? "tenant couldn't" : "tenants couldn't"} be asked what they have applied.`,
      ]
    : [];
  return { chosen: 'unapplied', notices, sets: [{ migrations: shared, chosen }, ...tenants.filter(hasSome)] };
}

function hasSome({ migrations, chosen }: Chosen): boolean {
  return migrations.some(chosen);
}

/** Git names files without the links on the way to them. */
function isChanged({ path, down }: Migration, { files }: Changed): boolean {
  return [path, ...(down ? [down.path] : [])].some((each) => files.has(realpathSync(each)));
}

interface ChosenAnywhere {
  chosen(migration: Migration): boolean;
  /** Which other folders are read; by default all. */
  folders?(folder: string): boolean;
  /** Copies of what all share, too. */
  copies?: boolean;
}

/** What all share, and each other folder that has something of its own to be judged. */
async function setsOf(
  config: Config,
  shared: readonly Migration[],
  { chosen, folders, copies = false }: ChosenAnywhere,
): Promise<Chosen[]> {
  const checksums = new Set(shared.map(({ name, checksum }) => `${name}\n${checksum}`));
  const sets: Chosen[] = [{ migrations: shared, chosen }];
  for (const migrations of await otherFolders(config, folders)) {
    const isOwn = ({ name, checksum }: Migration) => copies || !checksums.has(`${name}\n${checksum}`);
    const set = { migrations, chosen: (migration: Migration) => isOwn(migration) && chosen(migration) };
    if (hasSome(set)) sets.push(set);
  }
  return sets;
}

/** The central database's own folder and those of tenants, read as they lie. */
async function otherFolders(
  config: Config,
  isRead: (folder: string) => boolean = () => true,
): Promise<(readonly Migration[])[]> {
  const parent = config.migrations.tenants;
  const entries = await readdir(parent, { withFileTypes: true }).catch(() => []);
  const errors: MpmError[] = [];
  const lists: (readonly Migration[])[] = [];
  const { central } = config.migrations;
  const tenants = entries.filter((each) => each.isDirectory() && !each.name.startsWith('.'));
  const folders = [
    ...(existsSync(central) ? [{ folder: central, source: 'central' as const }] : []),
    ...tenants.map(({ name }) => ({ folder: join(parent, name), source: 'tenant' as const })),
  ];
  for (const { folder, source } of folders.filter((each) => isRead(each.folder))) {
    await collecting(errors, async () => {
      const { migrations } = await readMigrations(folder, source, config.migrations);
      lists.push(migrations);
    });
  }
  if (errors.length) throw oneError(parent, errors);
  return lists;
}

async function chooseNamed(
  config: Config,
  shared: readonly Migration[],
  named: readonly string[],
): Promise<How> {
  const found = new Set<string>();
  const isNamed = (migration: Migration, word: string): boolean => {
    const path = resolve(word);
    return path === migration.path || path === migration.down?.path || isCalled(migration.name, word);
  };
  const sets = await setsOf(config, shared, {
    copies: true,
    chosen: (migration) => {
      const words = named.filter((word) => isNamed(migration, word));
      for (const word of words) found.add(word);
      return words.length > 0;
    },
    folders: (folder) => named.some((word) => resolve(word).startsWith(`${folder}${sep}`)),
  });
  for (const { migrations, chosen } of sets) migrations.forEach(chosen);
  const [missing] = named.filter((word) => !found.has(word));
  if (missing !== undefined) {
    const what = existsSync(missing)
      ? 'is none of the migrations'
      : 'there is no such file, and no migration has this name';
    throw new MpmError('USAGE', `${missing}: ${what}`, {
      hint: `Name a file of ${config.migrations.core}, of a plugin, of a tenant's folder, or of ${config.migrations.central}.`,
    });
  }
  return { chosen: 'named', notices: [], sets };
}

/** Core's and all plugins' migrations, as a tenant with every plugin would have them. */
export async function readShared(config: Config, { core, cache }: FleetFiles): Promise<readonly Migration[]> {
  const all = await readPlugins(core, config, cache);
  return all.toSorted((a, b) => compareNames(a.name, b.name, config.migrations.order));
}
