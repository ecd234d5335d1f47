import { createHash } from 'node:crypto';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../config/define.ts';
import { fingerprintOf } from '../migration/fingerprint.ts';
import type { Migration } from '../migration/migration.ts';
import { type MigrationCache, type MigrationSet, readMigrations } from '../migration/source.ts';
import { readSeeds } from './seeds.ts';

/** Counted on when what is made of equal files changes. */
const FORMAT = 1;

/** What a new tenant is made of, all of it read and checked. */
export interface Blueprint {
  core: MigrationSet;
  seeds: readonly Migration[];
  cache: MigrationCache;
  /** Equal for equal files and an equal place of the history: 16 hexadecimal digits. */
  key: string;
}

/** A server that registers companies reads its files again only when they have changed. */
const lately = new Map<string, { as: string; blueprint: Blueprint }>();

/** @throws MpmError that names every problem of a folder at once, before any database is touched */
export async function readBlueprint(config: Config): Promise<Blueprint> {
  const { migrations, history } = config;
  const place = JSON.stringify([migrations.core, migrations.seeds, history.schema, history.table]);
  const as = `${stateOf(migrations.core)}\n${stateOf(migrations.seeds)}`;
  const known = lately.get(place);
  // A cache of its own for each: what of tenants is remembered by it is as old as the call.
  if (known?.as === as) return { ...known.blueprint, cache: new Map(known.blueprint.cache) };
  const blueprint = await read(config);
  lately.set(place, { as, blueprint });
  return { ...blueprint, cache: new Map(blueprint.cache) };
}

/** Differs when a file of the folder was changed, came or went. Empty when there is no such folder. */
function stateOf(folder: string): string {
  if (!existsSync(folder)) return '';
  const files = readdirSync(folder).toSorted();
  return files
    .map((file) => {
      const stat = statSync(join(folder, file), { throwIfNoEntry: false });
      // Of the times that of change is enough: nobody can set it back.
      return `${file} ${stat?.ino} ${stat?.size} ${stat?.ctimeMs}`;
    })
    .join('\n');
}

async function read(config: Config): Promise<Blueprint> {
  const cache: MigrationCache = new Map();
  const core = await readMigrations(config.migrations.core, 'core', cache);
  const seeds = await readSeeds(config, cache);
  const { schema, table } = config.history;
  const parts = [FORMAT, schema, table, contentOf(core.migrations), contentOf(seeds)];
  const key = createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 16);
  return { core, seeds, cache, key };
}

/** Does this list make the same schema as core? */
export function isCore({ core }: Blueprint, migrations: readonly Migration[]): boolean {
  return contentOf(core.migrations) === contentOf(migrations);
}

function contentOf(migrations: readonly Migration[]): string {
  return fingerprintOf(migrations, migrations.length) ?? '';
}
