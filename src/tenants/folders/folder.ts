import { statSync } from 'node:fs';
import { relative, sep } from 'node:path';
import type { Tenant } from '../../central/list/tenant.ts';
import type { Config } from '../../config/define.ts';
import { MpmError } from '../../errors.ts';
import { readFolder } from '../../engine/source/files.ts';
import { arrange, type FolderListing } from '../../engine/source/layout.ts';
import type { Migration } from '../../engine/migration.ts';
import { type Naming, parseFileName } from '../../engine/source/name.ts';
import { type MigrationCache, type MigrationSet, readListed } from '../../engine/source/source.ts';
import { isUntouched, type Manifest } from './manifest.ts';
import { TenantFolders } from './own-folder.ts';
import { withPlugins } from './plugins.ts';

/** A tenant, as far as its migrations go. */
export type TenantOfSet = Pick<Tenant, 'id' | 'name' | 'server' | 'database' | 'plugins'>;

/** What `up` applies to a tenant. */
export interface TenantSet extends MigrationSet {
  /** False: the tenant follows the core folder. */
  ownFolder: boolean;
  /** Names of core migrations, and of its plugins', that the tenant's folder lacks. */
  lacksCore: readonly string[];
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
  shared.folders ??= new TenantFolders(config);
  const own = shared.folders.find(tenant);
  const { plugins = [] } = tenant;
  const wanted = await withPlugins(core, plugins, config, cache);
  if (!own) return { folder: core.folder, migrations: wanted, ownFolder: false, lacksCore: [] };

  const { folder, manifest } = own;
  const { paths, problems } = contentOf(folder);
  const cores = coreChecksums(shared, core);
  const isIts = (file: string) => {
    const plugin = copyOf(manifest, file)?.plugin;
    return plugin === undefined || plugins.includes(plugin);
  };
  const listing = listingOf(shared, folder, paths.filter(isIts), {
    naming: config.migrations,
    isCopy: (file) => copyOf(manifest, file) !== undefined,
  });
  const migrations = await readListed(
    folder,
    problems.length ? { ...listing, problems: [...problems, ...listing.problems] } : listing,
    {
      sourceOf: (file, checksum) => {
        const copy = copyOf(manifest, file);
        if (copy?.plugin !== undefined) return 'plugin';
        // What is equal to core's is core's, whatever a copying that was cut off has recorded.
        const isCore = copy?.checksum === checksum || cores.get(file) === checksum;
        return isCore ? 'core' : 'tenant';
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
  const list = oneList(shared, withWithdrawn(shared, wanted, migrations));
  return { folder, migrations: list, ownFolder: true, lacksCore: lacksCore(shared, wanted, list) };
}

function copyOf({ copies }: Manifest, file: string) {
  return Object.hasOwn(copies, file) ? copies[file] : undefined;
}

function contentOf(folder: string): ReturnType<typeof readFolder> {
  try {
    return readFolder(folder);
  } catch (error) {
    throw new MpmError('TENANT_FOLDER', `${folder} cannot be read: ${(error as Error).message}`, {
      subject: folder,
      hint: 'Check its permissions.',
      cause: error,
    });
  }
}

/** What the folders of one run have in common. */
interface Shared {
  /** Looked at once for all tenants of a run. */
  folders?: TenantFolders;
  /** Of core's files, by their names. */
  checksums?: ReadonlyMap<string, string>;
  /** The names in a list. */
  names: WeakMap<readonly Migration[], ReadonlySet<string>>;
  withdrawn: WeakMap<Migration, Migration>;
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
    shared = {
      names: new WeakMap(),
      withdrawn: new WeakMap(),
      listings: new Map(),
      lists: [core.migrations],
      lacking: new WeakMap(),
    };
    sharedByCache.set(cache, shared);
  }
  return shared;
}

function coreChecksums(shared: Shared, { folder, migrations }: MigrationSet): ReadonlyMap<string, string> {
  const pathOf = (path: string) => relative(folder, path).split(sep).join('/');
  shared.checksums ??= new Map(migrations.map(({ path, fileChecksum }) => [pathOf(path), fileChecksum]));
  return shared.checksums;
}

function namesOf({ names }: Shared, list: readonly Migration[]): ReadonlySet<string> {
  let known = names.get(list);
  if (!known) names.set(list, (known = new Set(list.map(({ name }) => name))));
  return known;
}

/** Copies of what core, or the plugin, has no more are marked: they are not to be applied (fleet 40). */
function withWithdrawn(shared: Shared, wanted: readonly Migration[], migrations: Migration[]): Migration[] {
  const names = namesOf(shared, wanted);
  const mark = (migration: Migration): Migration => {
    let marked = shared.withdrawn.get(migration);
    if (!marked) shared.withdrawn.set(migration, (marked = { ...migration, withdrawn: true }));
    return marked;
  };
  return migrations.map((each) => (each.source === 'tenant' || names.has(each.name) ? each : mark(each)));
}

function listingOf(
  { listings }: Shared,
  folder: string,
  files: readonly string[],
  { naming, isCopy }: { naming: Naming; isCopy: (file: string) => boolean },
): FolderListing {
  // What has no number in core, or in a plugin, is a migration, whatever else is here.
  const copied = files.filter((file) => parseFileName(file)?.version === '' && isCopy(file));
  const key = [...files, '', ...copied].join('\n');
  // What is in these says how others are taken: names alone don't tell.
  const byNames = !files.some((file) => /(?:^|\/)(?:metadata\.toml|_journal\.json)$/.test(file));
  const known = byNames ? listings.get(key) : undefined;
  if (known) return known;
  const copies = new Set(copied.map((file) => parseFileName(file)?.name));
  const listing = arrange(folder, files, naming, (name) => copies.has(name));
  // A problem names its folder.
  if (byNames && !listing.problems.length && listings.size < SHARED_MOST) listings.set(key, listing);
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

function lacksCore(shared: Shared, wanted: readonly Migration[], list: readonly Migration[]): string[] {
  if (list === wanted) return [];
  const { lacking } = shared;
  let byList = lacking.get(wanted);
  if (!byList) lacking.set(wanted, (byList = new WeakMap()));
  let names = byList.get(list);
  if (!names) {
    const own = namesOf(shared, list);
    names = wanted.map((migration) => migration.name).filter((name) => !own.has(name));
    byList.set(list, names);
  }
  return names;
}
