import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../../config/define.ts';
import { MpmError } from '../../errors.ts';
import type { Migration } from '../../engine/migration.ts';
import {
  mergeMigrations,
  type MigrationCache,
  type MigrationSet,
  readMigrations,
} from '../../engine/source/source.ts';

/** What tenants' sets have in common in one run: each plugin is read once, and each combination put together once. */
interface Shared {
  plugins: Map<string, Promise<MigrationSet>>;
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
    const wrong = names.find((name) => !PLUGIN_NAME.test(name));
    if (wrong === undefined) return names;
    throw new MpmError('MIGRATION_INVALID', `${join(folder, wrong)} cannot be a plugin's folder`, {
      subject: join(folder, wrong),
      hint: "Rename it, or move it out of there: a plugin's name has up to 63 letters, digits, -, and _.",
    });
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
export function readPlugin(name: string, config: Config, cache: MigrationCache): Promise<MigrationSet> {
  const { plugins } = sharedOf(cache);
  let reading = plugins.get(name);
  if (!reading) {
    reading = read(name, config, cache);
    plugins.set(name, reading);
  }
  return reading;
}

async function read(name: string, config: Config, cache: MigrationCache): Promise<MigrationSet> {
  const folder = pluginFolder(config, name);
  try {
    return await readMigrations(folder, 'plugin', cache, name);
  } catch (error) {
    if (!(error instanceof MpmError) || error.code !== 'FOLDER_MISSING') throw error;
    throw new MpmError('FOLDER_MISSING', `There is no folder ${folder} for the plugin "${name}"`, {
      subject: name,
      cause: error,
      hint: 'Restore it, or fix migrations.plugins in the configuration.',
    });
  }
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
  for (const name of pluginFolders(config)) {
    const { migrations } = await readPlugin(name, config, cache);
    mergeMigrations([core.migrations, migrations]);
    all.push(...migrations);
  }
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
    known.get(key) ?? mergeMigrations([core.migrations, ...plugins.map((set) => set.migrations)]);
  known.set(key, merged);
  return merged;
}

function sharedOf(cache: MigrationCache): Shared {
  let shared = sharedByCache.get(cache);
  if (!shared) sharedByCache.set(cache, (shared = { plugins: new Map(), combinations: new WeakMap() }));
  return shared;
}
