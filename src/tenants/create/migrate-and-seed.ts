import type { Config } from '../../config/define.ts';
import { MpmError } from '../../errors.ts';
import {
  type Attempt,
  attemptDown,
  attemptUp,
  type MigrateOptions,
  withRetries,
} from '../../engine/apply/migrate.ts';
import type { Migration } from '../../engine/migration.ts';
import { followingModules, type ModuleWatch, type OnSql } from '../../engine/module/module-process.ts';
import type { DatabaseTarget } from '../../postgres/connect.ts';
import { TOOL_VERSION } from '../../version.ts';
import { runSeeds } from './seeds.ts';
import { directUrlOf } from '../server.ts';

/** What follows a creation: who wants to know, and who may stop it. */
export interface MigrateAndSeedOptions {
  /** Once aborted, no further migration is started. */
  signal?: AbortSignal;
  /** Once aborted, the statements that run are cancelled, too. */
  cancel?: AbortSignal;
  onMigration?(step: { name: string; index: number; count: number }): void;
  onWaiting?(reason: string): void;
  /** Is told each statement that a module sends. */
  onSql?: OnSql | undefined;
}

/** A database to be migrated and seeded. */
export interface NewDatabase {
  server: string;
  database: string;
  /** For application_name: who it is for. */
  purpose: string;
  tenant?: DatabaseTarget['tenant'];
}

/**
 * Migrations, then seeds, in a database of our own; goes on from wherever it stands.
 * @returns what the migrations came to
 * @throws MpmError of the migration or the seed that failed; INTERRUPTED
 */
export async function migrateAndSeed(
  config: Config,
  place: NewDatabase,
  { migrations, seeds }: { migrations: readonly Migration[]; seeds: readonly Migration[] },
  how: MigrateAndSeedOptions,
): Promise<Attempt> {
  const { signal } = how;
  const target = targetOf(config, place);
  return followingModules(async (modules) => {
    const options = optionsOf(config, modules, how);
    const attempt = await withRetries(options, () => attemptUp(target, { migrations }, options));
    if (attempt.error) throw attempt.error;
    const seeded = seeds.length ? await runSeeds(target, seeds, options) : undefined;
    if (seeded?.error) throw seeded.error;
    const left = attempt.pending.length + (seeded?.pending.length ?? 0);
    if (signal?.aborted && left) throw new MpmError('INTERRUPTED', 'interrupted');
    return attempt;
  }, how.onSql);
}

/** Takes back, in such a database, what was applied last. @throws MpmError of the way back */
export async function revertLast(
  config: Config,
  place: NewDatabase,
  migrations: readonly Migration[],
  how: MigrateAndSeedOptions,
): Promise<void> {
  await followingModules(async (modules) => {
    const options = { ...optionsOf(config, modules, how), force: false, steps: 1 };
    const attempt = await attemptDown(targetOf(config, place), { migrations }, options);
    if (attempt.error) throw attempt.error;
  });
}

function targetOf(config: Config, { server, database, purpose, tenant }: NewDatabase): DatabaseTarget {
  return {
    url: directUrlOf(config, server),
    database,
    tenant,
    applicationName: `mpm-migrate/create/${purpose}`,
    connectTimeout: config.pace.connectTimeout,
  };
}

function optionsOf(
  config: Config,
  modules: ModuleWatch,
  { signal, cancel, onMigration, onWaiting }: MigrateAndSeedOptions,
): MigrateOptions {
  return {
    modules,
    history: config.history,
    order: config.migrations.order,
    pace: config.pace,
    run: 'create',
    actor: config.actor,
    toolVersion: TOOL_VERSION,
    released: config.released,
    // It is our own: what is in it came from what it was copied of, or from a migration that was killed.
    allowNonEmpty: true,
    // A migration outside a transaction that was killed is resumed, as --resume promises.
    force: true,
    signal,
    cancel,
    onMigration,
    onWaiting,
  };
}
