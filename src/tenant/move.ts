import { changePlace } from '../central/change.ts';
import type { Central } from '../central/central.ts';
import type { Tenant } from '../central/tenant.ts';
import type { Config } from '../config/define.ts';
import { MpmError } from '../errors.ts';
import { readRows, readStanding } from '../migration/read.ts';
import type { HistoryRow } from '../migration/state.ts';
import { lossOf, withConnection } from '../postgres/connect.ts';
import { checkDatabaseName } from '../postgres/database.ts';
import { change, type ChangeOptions, type TenantChange } from './change.ts';
import { refuseSharedDatabase } from './same-database.ts';
import { directUrlOf, serverOf } from './server.ts';
import { differenceOf, readTraces, type Traces } from './traces.ts';

export interface MoveInput extends ChangeOptions {
  server: string;
  /** Its name there; by default the one it has. */
  database?: string;
  /** The old database is gone already: there is nothing to compare the new one with. */
  withoutOld?: boolean;
}

/**
 * Changes where a tenant's row points, after its database was moved there by other means. Both databases must have
 * the same history, to the times at which each migration was applied, and their data must have come as far: what was
 * written to the old one after it was copied would be lost, and tenants made from one template have one history.
 * @throws MpmError UNKNOWN_SERVER, DATABASE_MISSING, WRONG_DATABASE, DATABASE_EXISTS, UNKNOWN_TENANT
 */
export async function move(config: Config, wanted: string, input: MoveInput): Promise<TenantChange> {
  serverOf(config, input.server);
  const act = async (central: Central, tenant: Tenant): Promise<string[]> => {
    const place = { server: input.server, database: input.database ?? tenant.database };
    checkDatabaseName(place.database);
    if (place.server === tenant.server && place.database === tenant.database) {
      throw new MpmError('USAGE', `${tenant.name} (${tenant.id}) is on server "${place.server}" already`, {
        subject: tenant.name,
        hint: `Name another server: ${Object.keys(config.servers).join(', ')}`,
      });
    }
    await refuseSharedDatabase(config, { ...tenant, ...place }, central);
    const now = await newContent(central.config, tenant, place);
    if (!input.withoutOld) requireSame(tenant, place.server, await oldContent(central.config, tenant), now);
    await changePlace(central, tenant, place);
    const unchecked = 'the old database is gone, so whether this is its copy was not checked';
    return input.withoutOld ? [unchecked] : [];
  };
  return change(config, wanted, 'moved', act, input);
}

interface Content {
  rows: HistoryRow[];
  traces: Traces;
}

async function newContent(
  config: Config,
  tenant: Tenant,
  place: Pick<Tenant, 'server' | 'database'>,
): Promise<Content> {
  return contentAt(config, tenant, place).catch((error: unknown) => {
    if (!(error instanceof MpmError) || error.code !== 'DATABASE_MISSING') throw error;
    const { database, server } = place;
    throw new MpmError(error.code, `there is no database "${database}" on server "${server}"`, {
      subject: database,
      cause: error,
      aftermath: 'nothing was changed',
      hint: howToCopy(tenant),
    });
  });
}

async function oldContent(config: Config, tenant: Tenant): Promise<Content> {
  return contentAt(config, tenant, tenant).catch((error: unknown) => {
    if (!(error instanceof MpmError)) throw error;
    throw new MpmError(error.code, `its old database cannot be compared: ${error.message}`, {
      subject: tenant.name,
      cause: error,
      hint: 'If it is gone for good, add --without-old.',
    });
  });
}

async function contentAt(
  config: Config,
  tenant: Tenant,
  { server, database }: Pick<Tenant, 'server' | 'database'>,
): Promise<Content> {
  const { connectTimeout } = config.pace;
  const target = {
    url: directUrlOf(config, server),
    database,
    tenant,
    applicationName: `mpm-migrate/move/${tenant.id}`,
    connectTimeout,
  };
  return withConnection(target, async (connection) => {
    connection.describeLoss = lossOf(`database "${database}"`);
    const { bootstrapped } = await readStanding(connection, { history: config.history });
    const rows = bootstrapped ? await readRows(connection, config.history) : [];
    return { rows, traces: await readTraces(connection) };
  });
}

function requireSame(tenant: Tenant, server: string, old: Content, now: Content): void {
  const line = ({ name, checksum, state, startedAt }: HistoryRow) =>
    `${name} ${checksum} ${state} ${startedAt}`;
  const same =
    old.rows.length === now.rows.length &&
    old.rows.every((row, at) => line(row) === line(now.rows[at] ?? row));
  const difference = differenceOf(old.traces, now.traces);
  if (same && !difference) return;
  const { name, id } = tenant;
  const what = same
    ? `other data than ${name} (${id}), it is not its copy or an old one: ${difference}`
    : `another history than ${name} (${id}): it is not its copy`;
  throw new MpmError('WRONG_DATABASE', `the database on server "${server}" has ${what}`, {
    subject: name,
    aftermath: 'nothing was changed',
    hint: howToCopy(tenant),
  });
}

function howToCopy({ id }: Tenant): string {
  return `Copy it while nobody writes to it: mpm-migrate tenant hold ${id} --reason moving, then pg_dump and restore.`;
}
