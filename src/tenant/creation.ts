import type { Central } from '../central/central.ts';
import { markActive, markStep, type Provisioning } from '../central/registry.ts';
import { MpmError } from '../errors.ts';
import { type Attempt, attemptUp, type MigrateOptions } from '../migration/migrate.ts';
import { withRetries } from '../migration/retry.ts';
import type { MigrationCache, MigrationSet } from '../migration/source.ts';
import { checkDatabaseName } from '../postgres/database.ts';
import { TOOL_VERSION } from '../version.ts';
import { buildDatabase, newBuildingName } from './build.ts';
import { tenantSet } from './folder.ts';
import { serverOf, withServer } from './server.ts';

/** A tenant that is being created: its row is there already. */
export interface Creation {
  central: Central;
  id: string;
  /** By an earlier call; this one goes on. */
  resumed: boolean;
}

export interface ProvisionOptions {
  /** Once aborted, no further migration is started, and the creation is undone. */
  signal?: AbortSignal;
  onStep?(step: 'database' | 'migrations', tenant: { id: string; name: string; database: string }): void;
  onMigration?(step: { name: string; index: number; count: number }): void;
  onWaiting?(reason: string): void;
}

/** A tenant that is ready: what `tenant create --json` prints. */
export interface ProvisionReport {
  tenant: { id: string; name: string; database: string; server: string; status: 'active' };
  resumed: boolean;
  /** False when the database was there from the call that this one went on with. */
  created: boolean;
  head: string | null;
  applied: Attempt['applied'];
  notices: string[];
  durationMs: number;
}

/** All steps from wherever the row stands: each looks at what is there, so that it may be done again. */
export async function carryOut(
  { central, id, resumed }: Creation,
  row: Provisioning,
  { core, cache }: { core: MigrationSet; cache: MigrationCache },
  options: ProvisionOptions,
): Promise<ProvisionReport> {
  const started = Date.now();
  const { config } = central;
  const { name, database, server } = row;
  const tenant = { id, name, database, server };
  checkDatabaseName(database);
  const { migrations } = await tenantSet(tenant, core, config, cache);

  options.onStep?.('database', tenant);
  row.step = 'database';
  row.buildingAs ??= newBuildingName();
  const building = { database, buildingAs: row.buildingAs, oid: row.oid };
  const { buildingAs } = row;
  const mark = (reason: string) =>
    markStep(central, id, { step: row.step ?? 'database', buildingAs, oid: row.oid, reason });
  if (resumed) await mark('creating its database');
  const created = await withServer(config, server, (connection) =>
    buildDatabase(connection, building, async (oid) => {
      row.oid = oid;
      await mark('creating its database');
    }),
  );

  options.onStep?.('migrations', tenant);
  row.step = 'migrations';
  await mark('applying its migrations');
  const attempt = await migrate(central, row, migrations, options);
  if (attempt.error) throw attempt.error;
  if (options.signal?.aborted && attempt.pending.length) throw new MpmError('INTERRUPTED', 'interrupted');
  await markActive(central, id);
  return {
    tenant: { ...tenant, status: 'active' },
    resumed,
    created,
    head: attempt.to,
    applied: attempt.applied,
    notices: attempt.notices,
    durationMs: Date.now() - started,
  };
}

function migrate(
  { config }: Central,
  { id, database, server }: Provisioning,
  migrations: MigrationSet['migrations'],
  { signal, onMigration, onWaiting }: ProvisionOptions,
): Promise<Attempt> {
  const { url, directUrl } = serverOf(config, server);
  const target = {
    url,
    database,
    applicationName: `mpm-migrate/create/${id}`,
    connectTimeout: config.pace.connectTimeout,
  };
  const migrateOptions: MigrateOptions = {
    history: config.history,
    pace: config.pace,
    run: 'create',
    actor: config.actor,
    toolVersion: TOOL_VERSION,
    // It is our own: what is in it came from the server's template1, or from a migration that was killed.
    allowNonEmpty: true,
    // A migration outside a transaction that was killed is resumed, as --resume promises.
    force: true,
    directUrl,
    signal,
    onMigration,
    onWaiting,
  };
  return withRetries(migrateOptions, () => attemptUp(target, { migrations }, migrateOptions));
}
