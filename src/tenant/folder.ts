import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Tenant } from '../central/tenant.ts';
import type { Config } from '../config/define.ts';
import { MpmError } from '../errors.ts';
import { arrange, type FolderListing, isMigrationFile } from '../migration/files.ts';
import type { Migration } from '../migration/migration.ts';
import { type MigrationCache, type MigrationSet, readListed } from '../migration/source.ts';
import { withPlugins } from './plugins.ts';
import { isUntouched, type Manifest, readManifest } from './manifest.ts';

/** A tenant, as far as its migrations go. */
export type TenantOfSet = Pick<Tenant, 'id' | 'name' | 'database' | 'plugins'>;

/** What `up` applies to a tenant. */
export interface TenantSet extends MigrationSet {
  /** False: the tenant follows the core folder. */
  ownFolder: boolean;
  /** Names of core migrations, and of its plugins', that the tenant's folder lacks. */
  lacksCore: readonly string[];
}

const WINDOWS_DEVICE = /^(?:con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(?:\.|$)/i;

/** Why a database's name cannot be a folder's; undefined when it can. */
export function folderNameProblem(database: string): string | undefined {
  if (database === '') return 'it is empty';
  if (/[/\\]/.test(database)) return 'it holds a path separator';
  if (database.includes('\0')) return 'it holds a NUL character';
  if (database.startsWith('.')) return 'it begins with a dot';
  if (WINDOWS_DEVICE.test(database)) return 'it is a reserved name on Windows';
  if (/[. ]$/.test(database)) return 'it ends with a dot or a space, which Windows drops';
  if (/^[a-z]:/i.test(database)) return 'it begins like a drive of Windows';
  return undefined;
}

/**
 * The folder of a tenant's own, whether it exists or not.
 * @throws MpmError TENANT_FOLDER when the database's name would leave the folder of folders
 */
export function tenantFolder(
  { id, name, database }: Pick<Tenant, 'id' | 'name' | 'database'>,
  config: Config,
): string {
  const problem = folderNameProblem(database);
  if (!problem) return join(config.migrations.tenants, database);
  const who = name ? `${name} (${id})` : `tenant ${id}`;
  throw new MpmError(
    'TENANT_FOLDER',
    `${who} cannot have a folder for the database ${JSON.stringify(database)}: ${problem}`,
    {
      subject: name || id,
      hint: 'Without a folder it follows core. Leave it out (--exclude), or give the database another name.',
    },
  );
}

/**
 * The migrations of a tenant: exactly its folder's content where it has one, without what `sync` brought of a
 * plugin that it does not have; else core and its plugins. Folders of equal content
 * share one list, by which fingerprints and the like are remembered.
 * @param cache the one that core was read with
 * @throws MpmError as `readMigrations`; TENANT_FOLDER
 */
export async function tenantSet(
  tenant: TenantOfSet,
  core: MigrationSet,
  config: Config,
  cache: MigrationCache = new Map(),
): Promise<TenantSet> {
  const shared = sharedOf(core, cache);
  const files = hasFolder(shared, tenant, config)
    ? filesOf(join(config.migrations.tenants, tenant.database))
    : undefined;
  const { plugins = [] } = tenant;
  const wanted = await withPlugins(core, plugins, config, cache);
  if (!files) return { folder: core.folder, migrations: wanted, ownFolder: false, lacksCore: [] };

  const folder = tenantFolder(tenant, config);
  const manifest = readManifest(folder);
  const isIts = (file: string) => {
    const plugin = copyOf(manifest, file)?.plugin;
    return plugin === undefined || plugins.includes(plugin);
  };
  const listing = listingOf(shared, folder, files.filter(isIts));
  const migrations = await readListed(
    folder,
    listing,
    {
      sourceOf: (file, checksum) => {
        const copy = copyOf(manifest, file);
        if (copy?.plugin !== undefined) return 'plugin';
        return copy?.checksum === checksum ? 'core' : 'tenant';
      },
      pluginOf: (file) => copyOf(manifest, file)?.plugin,
      knownChecksum: (file) => {
        const copy = copyOf(manifest, file);
        if (!copy) return undefined;
        const stat = statSync(`${folder}/${file}`, { throwIfNoEntry: false });
        return stat && isUntouched(copy, stat) ? copy.checksum : undefined;
      },
    },
    cache,
  );
  const list = oneList(shared, migrations);
  return { folder, migrations: list, ownFolder: true, lacksCore: lacksCore(shared, wanted, list) };
}

function copyOf({ copies }: Manifest, file: string) {
  return Object.hasOwn(copies, file) ? copies[file] : undefined;
}

/** Looked up once for all tenants of a run: most fleets follow core. */
function hasFolder(shared: Shared, { database }: TenantOfSet, { migrations }: Config): boolean {
  shared.folders ??= new Set(filesOf(migrations.tenants, () => true) ?? []);
  return shared.folders.has(database) && !folderNameProblem(database);
}

/** The files of a folder; undefined when there is no such folder. */
function filesOf(folder: string, wanted = isMigrationFile): string[] | undefined {
  try {
    return readdirSync(folder).filter(wanted);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT') return undefined;
    throw new MpmError('TENANT_FOLDER', `${folder} cannot be read: ${message}`, {
      subject: folder,
      hint: 'Check its permissions.',
      cause: error,
    });
  }
}

/** What the folders of one run have in common. */
interface Shared {
  /** Whose folders there are. */
  folders?: ReadonlySet<string>;
  listings: Map<string, FolderListing>;
  lists: (readonly Migration[])[];
  /** By what is wanted, then by what is there. */
  lacking: WeakMap<readonly Migration[], WeakMap<readonly Migration[], string[]>>;
}

const SHARED_MOST = 50;
const sharedByCache = new WeakMap<MigrationCache, Shared>();

function sharedOf(core: MigrationSet, cache: MigrationCache): Shared {
  let shared = sharedByCache.get(cache);
  if (!shared) {
    shared = { listings: new Map(), lists: [core.migrations], lacking: new WeakMap() };
    sharedByCache.set(cache, shared);
  }
  return shared;
}

function listingOf({ listings }: Shared, folder: string, files: readonly string[]): FolderListing {
  const key = files.join('/');
  const known = listings.get(key);
  if (known) return known;
  const listing = arrange(folder, files);
  // A problem names its folder.
  if (!listing.problems.length && listings.size < SHARED_MOST) listings.set(key, listing);
  return listing;
}

function oneList({ lists }: Shared, migrations: readonly Migration[]): readonly Migration[] {
  const same = lists.find(
    (list) => list.length === migrations.length && list.every((each, index) => each === migrations[index]),
  );
  if (same) return same;
  if (lists.length < SHARED_MOST) lists.push(migrations);
  return migrations;
}

function lacksCore({ lacking }: Shared, wanted: readonly Migration[], list: readonly Migration[]): string[] {
  if (list === wanted) return [];
  let byList = lacking.get(wanted);
  if (!byList) lacking.set(wanted, (byList = new WeakMap()));
  let names = byList.get(list);
  if (!names) {
    const own = new Set(list.map((migration) => migration.name));
    names = wanted.map((migration) => migration.name).filter((name) => !own.has(name));
    byList.set(list, names);
  }
  return names;
}
