import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Config } from '../config/define.ts';
import type { MpmError } from '../errors.ts';
import type { Migration } from '../engine/migration.ts';
import { readPlugins } from '../tenants/folders/plugins.ts';
import { listFolder } from '../engine/source/layout.ts';
import { compareNames, type Order } from '../engine/source/name.ts';
import { collecting, oneError } from '../engine/source/problems.ts';
import { findMigration } from '../engine/plan.ts';
import { type FolderSet, type MigrationCache, readMigrations } from '../engine/source/source.ts';

/** What a run reads from the disk: core once, before any connection; a tenant's own folder before its own. */
export interface FleetFiles {
  core: FolderSet;
  cache: MigrationCache;
  /** Of the contract phase, in core and in plugins, up to `to`. */
  contract: readonly Migration[];
  /** `--to` as the name of a migration. */
  to?: string;
}

/**
 * Reads and checks the core folder and those of plugins (engine 22).
 * @throws MpmError for every problem of all these folders at once; USAGE when nothing is called `to`
 */
export async function readFleetFiles(config: Config, to?: string): Promise<FleetFiles> {
  const cache: MigrationCache = new Map();
  const folder = config.migrations.core;
  const errors: MpmError[] = [];
  const core = await collecting(errors, () => readMigrations(folder, 'core', config.migrations, cache));
  const all = await collecting(errors, () => readPlugins(core ?? { folder, migrations: [] }, config, cache));
  if (!core || !all) throw oneError(config.root, errors);
  const contract = all.filter(({ up }) => up.options.phase !== undefined);
  if (to === undefined) return { core, cache, contract };
  const last = (await findOwn(config.migrations.tenants, to)) ?? findMigration(all, to).name;
  const isReached = ({ name }: Migration): boolean => compareNames(name, last, config.migrations.order) <= 0;
  return { core, cache, contract: contract.filter(isReached), to: last };
}

/** A migration that only a tenant's own folder has, by its name. */
async function findOwn(tenants: string, name: string): Promise<string | undefined> {
  const folders = await readdir(tenants, { withFileTypes: true }).catch(() => []);
  for (const folder of folders) {
    if (!folder.isDirectory()) continue;
    const { migrations } = listFolder(join(tenants, folder.name));
    if (migrations.some((migration) => migration.name === name)) return name;
  }
  return undefined;
}

/** A set that goes no further than a migration, which need not be in it: a tenant's folder may lack it. */
export function limitedTo(
  migrations: readonly Migration[],
  to: string | undefined,
  order: Order,
): { migrations: readonly Migration[]; to?: string } {
  if (to === undefined) return { migrations };
  const last = migrations.findLast((migration) => compareNames(migration.name, to, order) <= 0);
  return last ? { migrations, to: last.name } : { migrations: [] };
}
