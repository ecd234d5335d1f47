import type { Config } from '../../config/define.ts';
import {
  type CatalogObject,
  type CatalogOptions,
  readCatalog,
  readFingerprint,
} from '../../engine/catalog/query.ts';
import type { Migration } from '../../engine/migration.ts';
import { compareNames, type Order } from '../../engine/source/name.ts';
import { withNewDatabase } from '../server.ts';
import { migrateAndSeed, type MigrateAndSeedOptions } from './migrate-and-seed.ts';
import { templatePrefix } from './template.ts';
import { inThrowaway } from './throwaway.ts';

/** What the migrations of a history make, on a server. */
export interface Reference {
  fingerprint: string;
  database: string;
  objects: CatalogObject[];
  /** The server's major version. */
  version: number;
}

/** What references are called until they are dropped; another fleet on the same server has another beginning. */
export function referencePrefix(config: Config): string {
  return templatePrefix(config).replace(/^mpm_template_/, 'mpm_verify_');
}

/**
 * Applies migrations to a database of their own, reads what they made, and drops it.
 * @param applied in the order in which they were applied
 * @throws MpmError of the server, of a migration that fails there; INTERRUPTED
 */
export function buildReference(
  config: Config,
  server: string,
  applied: readonly Migration[],
  options: MigrateAndSeedOptions & { catalog: CatalogOptions },
): Promise<Reference> {
  const throwaway = { prefix: referencePrefix(config), purpose: 'verify' };
  return inThrowaway(config, server, throwaway, async (place) => {
    for (const migrations of inTurns(applied, config.migrations.order)) {
      await migrateAndSeed(config, place, { migrations, seeds: [] }, options);
    }
    return withNewDatabase(config, place, async (own) => ({
      database: place.database,
      version: own.version,
      fingerprint: await readFingerprint(own, options.catalog),
      objects: await readCatalog(own, options.catalog),
    }));
  });
}

/**
 * What the engine applies one after the other goes by names: each turn holds what is to be there at its end, so that
 * one that was applied late is applied late.
 */
function inTurns(applied: readonly Migration[], order: Order): Migration[][] {
  const turns: Migration[][] = [];
  let turn: Migration[] = [];
  for (const migration of applied) {
    const last = turn.at(-1);
    if (last && compareNames(last.name, migration.name, order) > 0) {
      turns.push(turn);
      turn = [];
    }
    turn.push(migration);
  }
  if (turn.length) turns.push(turn);
  return turns.map((_, at) =>
    turns
      .slice(0, at + 1)
      .flat()
      .sort((a, b) => compareNames(a.name, b.name, order))
      .map(applicable),
  );
}

/** What its database had applied is applied here, whatever has become of its file in the meantime. */
function applicable(migration: Migration): Migration {
  const { withdrawn: _, untouched: __, ...rest } = migration;
  const { phase: ___, ...options } = rest.up.options;
  return { ...rest, up: { ...rest.up, options } };
}
