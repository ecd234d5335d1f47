import { changePlace } from '../central/change.ts';
import type { Tenant } from '../central/tenant.ts';
import type { Config } from '../config/define.ts';
import { MpmError } from '../errors.ts';
import { readRows, readStanding } from '../migration/read.ts';
import type { HistoryRow } from '../migration/state.ts';
import { withConnection } from '../postgres/connection.ts';
import { checkDatabaseName } from '../postgres/database.ts';
import { change, type TenantChange } from './change.ts';
import { serverOf } from './server.ts';

export interface MoveInput {
  server: string;
  /** Its name there; by default the one it has. */
  database?: string;
  /** The old database is gone already: there is nothing to compare the new one with. */
  withoutOld?: boolean;
}

/**
 * Changes where a tenant's row points, after its database was moved there by other means. Both databases must have
 * the same history, to the times at which each migration was applied.
 * @throws MpmError UNKNOWN_SERVER, DATABASE_MISSING, WRONG_DATABASE, DATABASE_EXISTS, UNKNOWN_TENANT
 */
export async function move(config: Config, wanted: string, input: MoveInput): Promise<TenantChange> {
  serverOf(config, input.server);
  return change(config, wanted, 'moved', async (central, tenant) => {
    const place = { server: input.server, database: input.database ?? tenant.database };
    checkDatabaseName(place.database);
    if (place.server === tenant.server && place.database === tenant.database) {
      throw new MpmError('USAGE', `${tenant.name} (${tenant.id}) is on server "${place.server}" already`, {
        subject: tenant.name,
        hint: `Name another server: ${Object.keys(config.servers).join(', ')}`,
      });
    }
    const now = await historyAt(config, tenant, place);
    if (!input.withoutOld) requireSame(tenant, place.server, await oldHistory(config, tenant), now);
    await changePlace(central, tenant, place);
    const unchecked = 'the old database is gone, so whether this is its copy was not checked';
    return input.withoutOld ? [unchecked] : [];
  });
}

async function oldHistory(config: Config, tenant: Tenant): Promise<HistoryRow[]> {
  return historyAt(config, tenant, tenant).catch((error: unknown) => {
    if (!(error instanceof MpmError)) throw error;
    throw new MpmError(error.code, `its old database cannot be compared: ${error.message}`, {
      subject: tenant.name,
      cause: error,
      hint: 'If it is gone for good, add --without-old.',
    });
  });
}

async function historyAt(
  config: Config,
  { id }: Tenant,
  { server, database }: Pick<Tenant, 'server' | 'database'>,
): Promise<HistoryRow[]> {
  const { connectTimeout } = config.pace;
  const target = {
    url: serverOf(config, server).url,
    database,
    applicationName: `mpm-migrate/move/${id}`,
    connectTimeout,
  };
  return withConnection(target, async (connection) => {
    const { bootstrapped } = await readStanding(connection, { history: config.history });
    return bootstrapped ? readRows(connection, config.history) : [];
  });
}

function requireSame(tenant: Tenant, server: string, old: HistoryRow[], now: HistoryRow[]): void {
  const line = ({ name, checksum, state, startedAt }: HistoryRow) =>
    `${name} ${checksum} ${state} ${startedAt}`;
  const same = old.length === now.length && old.every((row, at) => line(row) === line(now[at] ?? row));
  if (same) return;
  throw new MpmError(
    'WRONG_DATABASE',
    `the database on server "${server}" has another history than ${tenant.name} (${tenant.id}): it is not its copy`,
    {
      subject: tenant.name,
      aftermath: 'nothing was changed',
      hint: 'Copy it anew while nothing migrates it: mpm-migrate tenant hold, then pg_dump and restore.',
    },
  );
}
