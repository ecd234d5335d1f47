import { withCentral } from '../../central/central.ts';
import { addPlugin, countInstalled, listInstallable, requireOwnPlugins } from '../../central/plugins.ts';
import type { Config } from '../../config/define.ts';
import { listFolder } from '../../engine/source/layout.ts';
import { collecting, oneError } from '../../engine/source/problems.ts';
import { type MigrationCache, readMigrations } from '../../engine/source/source.ts';
import { MpmError, stopIfAborted } from '../../errors.ts';
import type { ChangeOptions } from '../../tenants/change.ts';
import { pluginFolder, pluginFolders, readPlugin, withPlugins } from '../../tenants/folders/plugins.ts';
import { refOf } from '../attempt.ts';
import type { TenantRef } from '../report/report.ts';
import { findSingle } from '../single.ts';

/** One plugin, as the central database and the folder of plugins have it. */
export interface PluginRow {
  name: string;
  title: string | null;
  /** In the list of installable ones; where the product lists its tenants itself, that is every one with a folder. */
  installable: boolean;
  /** How many migrations its folder has; null when there is no folder. */
  migrations: number | null;
  /** How many tenants have it. */
  tenants: number;
  /** Of the one tenant that was asked about. */
  installed?: boolean;
}

/** What `plugin list` found: what `--json` prints. */
export interface PluginList {
  /** In the order of names. */
  plugins: PluginRow[];
  /** The one that was asked about. */
  tenant?: TenantRef;
}

/**
 * The plugins there are: installable, installed, or only a folder. Changes nothing.
 * @param options.tenant whether this one has them: id, name or database
 * @throws MpmError UNKNOWN_TENANT, USAGE; errors of the central database
 */
export async function listPlugins(
  config: Config,
  options: { tenant?: string } & ChangeOptions = {},
): Promise<PluginList> {
  stopIfAborted(options.signal);
  const folders = pluginFolders(config);
  return withCentral(config, async (central) => {
    const tenant = options.tenant === undefined ? undefined : await findSingle(central, options.tenant);
    const installable = new Map((await listInstallable(central)).map(({ name, title }) => [name, title]));
    const counts = await countInstalled(central);
    const own = 'builtIn' in config.tenants;
    const names = [...new Set([...installable.keys(), ...counts.keys(), ...folders])].sort();
    const plugins = names.map((name): PluginRow => ({
      name,
      title: installable.get(name) ?? null,
      installable: own ? installable.has(name) : folders.includes(name),
      migrations: folders.includes(name)
        ? listFolder(`${config.migrations.plugins}/${name}`, config.migrations).migrations.length
        : null,
      tenants: counts.get(name) ?? 0,
      ...(tenant ? { installed: tenant.plugins?.includes(name) ?? false } : {}),
    }));
    return { plugins, ...(tenant ? { tenant: refOf(tenant) } : {}) };
  });
}

/** A plugin that can be installed now: what `plugin add --json` prints. */
export interface AddedPlugin {
  name: string;
  title: string | null;
  migrations: number;
  folder: string;
  /** False: it was so already. */
  changed: boolean;
}

/**
 * Makes a plugin installable; again with another title, gives it that.
 * @throws MpmError USAGE for its name; FOLDER_MISSING, MIGRATION_INVALID for its folder; CENTRAL_INVALID
 */
export async function makeInstallable(
  config: Config,
  name: string,
  { title, signal }: { title?: string } & ChangeOptions = {},
): Promise<AddedPlugin> {
  stopIfAborted(signal);
  requireOwnPlugins({ config });
  const folder = pluginFolder(config, name);
  const cache: MigrationCache = new Map();
  const errors: MpmError[] = [];
  const core = await collecting(errors, () =>
    readMigrations(config.migrations.core, 'core', config.migrations, cache),
  );
  const plugin = await collecting(errors, () => readPlugin(name, config, cache)).catch((error: unknown) => {
    throw error instanceof MpmError && error.code === 'FOLDER_MISSING' ? noFolder(name, folder) : error;
  });
  if (!core || !plugin) throw oneError(config.root, errors);
  await withPlugins(core, [name], config, cache);
  return withCentral(config, async (central) => {
    stopIfAborted(signal);
    const changed = await addPlugin(central, name, title);
    const known = await listInstallable(central);
    const now = known.find((plugin) => plugin.name === name);
    return { name, title: now?.title ?? null, migrations: plugin.migrations.length, folder, changed };
  });
}

function noFolder(name: string, folder: string): MpmError {
  return new MpmError('FOLDER_MISSING', `There is no folder ${folder} for the plugin "${name}"`, {
    subject: name,
    hint: `Create it, and put its migrations there: ${folder}/20260131120000_first.sql`,
  });
}
