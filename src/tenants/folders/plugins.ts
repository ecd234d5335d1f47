import { lstatSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../../config/define.ts';
import { MpmError } from '../../errors.ts';
import { shellWord } from '../../shell-word.ts';
import type { Migration } from '../../engine/migration.ts';
import { collecting, oneError } from '../../engine/source/problems.ts';
import {
  mergeMigrations,
  type MigrationCache,
  type FolderSet,
  type MigrationSet,
  readMigrations,
} from '../../engine/source/source.ts';

/** What tenants' sets have in common in one run: each plugin is read once, and each combination put together once. */
interface Shared {
  /** A plugin without a folder counts as one without migrations. */
  withoutLost?: true;
  plugins: Map<string, Promise<FolderSet>>;
  combinations: WeakMap<readonly Migration[], Map<string, readonly Migration[]>>;
}

const sharedByCache = new WeakMap<MigrationCache, Shared>();

const PLUGIN_NAME = /^[A-Za-z0-9][A-Za-z0-9_-]{0,62}$/;

/** @throws MpmError USAGE for a name that is no folder's */
export function checkPluginName(name: string): void {
  if (PLUGIN_NAME.test(name)) return;
  throw new MpmError('USAGE', `${JSON.stringify(name)} can't be a plugin's name`, {
    subject: name,
    hint: 'Use up to 63 letters, digits, -, and _. Its folder has the same name.',
  });
}

export function pluginFolder(config: Config, name: string): string {
  checkPluginName(name);
  return join(config.migrations.plugins, name);
}

/** The plugins that have a folder, in order; none when there is no folder of plugins. */
export function pluginFolders(config: Config): string[] {
  const folder = config.migrations.plugins;
  try {
    const names = readdirSync(folder, { withFileTypes: true })
      .filter((entry) => !entry.isFile() && !entry.name.startsWith('.'))
      .map((entry) => entry.name)
      .sort();
    const wrong = names.filter((name) => !PLUGIN_NAME.test(name)).map((name) => join(folder, name));
    if (wrong.length === 0) return names;
    const hint =
      "Rename it, or move it out of there: a plugin's name has up to 63 letters, digits, -, and _.";
    const errors = wrong.map(
      (path) =>
        new MpmError('MIGRATION_INVALID', `${path} cannot be a plugin's folder`, { subject: path, hint }),
    );
    throw oneError(folder, errors);
  } catch (error) {
    if (error instanceof MpmError) throw error;
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw new MpmError('FILE_SYSTEM', `${folder} cannot be read: ${(error as Error).message}`, {
      subject: folder,
      hint: 'Check the path and its permissions.',
      cause: error,
    });
  }
}

/**
 * A plugin's migrations, read once per cache.
 * @throws MpmError FOLDER_MISSING, and as `readMigrations`
 */
export function readPlugin(name: string, config: Config, cache: MigrationCache): Promise<FolderSet> {
  const { plugins } = sharedOf(cache);
  let reading = plugins.get(name);
  if (!reading) {
    reading = read(name, config, cache);
    plugins.set(name, reading);
  }
  return reading;
}

async function read(name: string, config: Config, cache: MigrationCache): Promise<FolderSet> {
  const folder = pluginFolder(config, name);
  try {
    return await readMigrations(folder, 'plugin', config.migrations, cache, name);
  } catch (error) {
    if (!(error instanceof MpmError) || error.code !== 'FOLDER_MISSING') throw error;
    const isLink = lstatSync(folder, { throwIfNoEntry: false });
    if (sharedOf(cache).withoutLost && !isLink) return { folder, migrations: [], layout: '', passedBy: [] };
    const [what, hint] = isLink
      ? [
          `${folder} is a link to nowhere`,
          `Restore what it leads to, or remove the link: rm ${shellWord(folder)}`,
        ]
      : [
          `There is no folder ${folder} for the plugin "${name}"`,
          `Restore it, or fix migrations.plugins in the configuration. To uninstall the plugin, and keep its tables: mpm-migrate plugin uninstall ${name} --all --keep`,
        ];
    throw new MpmError('FOLDER_MISSING', what, { subject: name, cause: error, hint });
  }
}

/** From now on, plugins whose folders are gone have no migrations, for who reads with this cache. */
export function goWithoutLost(cache: MigrationCache): void {
  sharedOf(cache).withoutLost = true;
}

/**
 * Reads and checks every plugin that has a folder, each against core (engine 22).
 * @returns all migrations of core and plugins, unordered
 * @throws MpmError as {@link readPlugin}; MIGRATION_INVALID naming both files when core has the same version or name
 */
export async function readPlugins(
  core: MigrationSet,
  config: Config,
  cache: MigrationCache,
): Promise<readonly Migration[]> {
  const all = [...core.migrations];
  const errors: MpmError[] = [];
  for (const name of pluginFolders(config)) {
    await collecting(errors, async () => {
      const { migrations } = await readPlugin(name, config, cache);
      mergeMigrations([core.migrations, migrations], config.migrations);
      all.push(...migrations);
    });
  }
  if (errors.length) throw oneError(config.migrations.plugins, errors);
  return all;
}

/**
 * Core with these plugins, in one order; one list for all tenants that have the same ones.
 * @throws MpmError as {@link readPlugins}
 */
export async function withPlugins(
  core: MigrationSet,
  names: readonly string[],
  config: Config,
  cache: MigrationCache,
): Promise<readonly Migration[]> {
  if (names.length === 0) return core.migrations;
  const { combinations } = sharedOf(cache);
  let known = combinations.get(core.migrations);
  if (!known) combinations.set(core.migrations, (known = new Map()));
  const key = names.join('\n');
  const found = known.get(key);
  if (found) return found;
  const plugins = await Promise.all(names.map((name) => readPlugin(name, config, cache)));
  const merged =
    known.get(key) ??
    mergeMigrations([core.migrations, ...plugins.map((set) => set.migrations)], config.migrations);
  known.set(key, merged);
  return merged;
}

function sharedOf(cache: MigrationCache): Shared {
  let shared = sharedByCache.get(cache);
  if (!shared) sharedByCache.set(cache, (shared = { plugins: new Map(), combinations: new WeakMap() }));
  return shared;
}
