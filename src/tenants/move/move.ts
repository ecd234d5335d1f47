import type { Central } from '../../central/central.ts';
import { changePlace } from '../../central/list/change.ts';
import { readProvisioning } from '../../central/list/provisioning.ts';
import type { Tenant } from '../../central/list/tenant.ts';
import type { Config } from '../../config/define.ts';
import { asMpmError, MpmError } from '../../errors.ts';
import { readRows, readState } from '../../engine/history/read.ts';
import type { HistoryRow } from '../../engine/history/state.ts';
import type { Connection } from '../../postgres/connection.ts';
import { lossOf, withConnection } from '../../postgres/connect.ts';
import { checkDatabaseName, findDatabases } from '../../postgres/database.ts';
import { identifier } from '../../postgres/quote.ts';
import { idWord } from '../../shell-word.ts';
import { change, type ChangeOptions, type TenantChange } from '../change.ts';
import { type Closed, whileClosed } from './closed.ts';
import { differenceOf, readContents } from './contents.ts';
import { takeFolderAlong } from '../folders/own-folder.ts';
import { refuseSharedDatabase } from '../same-database.ts';
import { directUrlOf, serverOf, withServer } from '../server.ts';

export interface MoveInput extends ChangeOptions {
  server?: string;
  /** Its name there; by default the one it has. */
  database?: string;
  /** Ends the sessions of others in the old database; without, they are an error. */
  disconnect?: boolean;
  /** Compares how many rows the tables have, not what is in them. */
  countsOnly?: boolean;
  /** The old database is gone, and nothing is left to compare the new one with. */
  withoutOld?: boolean;
}

type Location = Pick<Tenant, 'server' | 'database'>;

/**
 * Changes where a tenant's row points, after its database was copied there by other means while it was on hold. The
 * old database is closed; then both are compared: the history, to the times at which each migration was applied, each
 * sequence, and each table by its rows. A database that was only renamed is known by its oid, and has nothing to be
 * compared with. When anything differs or fails, the old one is opened again (fleet 41).
 * @throws MpmError UNKNOWN_SERVER, DATABASE_MISSING, DATABASE_IN_USE, DATABASE_EXISTS, TENANT_STATUS when the tenant is
 *   not on hold, WRONG_DATABASE when what is there is not its copy, UNKNOWN_TENANT, INTERRUPTED
 */
export async function move(config: Config, wanted: string, input: MoveInput): Promise<TenantChange> {
  if (input.server !== undefined) serverOf(config, input.server);
  const act = async (central: Central, tenant: Tenant): Promise<string[]> => {
    const place = { server: input.server ?? tenant.server, database: input.database ?? tenant.database };
    checkDatabaseName(place.database);
    refuseSameLocation(config, tenant, place);
    await refuseSharedDatabase(config, { ...tenant, ...place }, central);
    const { oid: oldOid } = (await readProvisioning(central, tenant.id)) ?? {};
    const oid = await requireThere(config, tenant, place);
    const old = await oidAt(config, tenant).catch((error: unknown) => {
      if (input.withoutOld) return undefined;
      const { code, message } = asMpmError(error);
      throw goneFor(tenant, code, `its old database cannot be compared: ${message}`, error);
    });
    const to = { ...place, oid };
    const folderAlong = () => takeFolderAlong(tenant, { ...tenant, ...place }, config);
    if (old === undefined) {
      const renamed = place.server === tenant.server && oid === oldOid;
      if (!renamed && !input.withoutOld) {
        const what = `its old database "${tenant.database}" is not on server "${tenant.server}" any more`;
        throw goneFor(tenant, 'DATABASE_MISSING', what);
      }
      await changePlace(central, tenant, to);
      const unchecked = 'the old database is gone, so whether this is its copy was not checked';
      return [...(renamed ? [] : [unchecked]), ...folderAlong()];
    }
    if (input.withoutOld) {
      throw new MpmError(
        'USAGE',
        `the old database "${tenant.database}" is there, on server "${tenant.server}"`,
        {
          subject: tenant.name,
          aftermath: 'nothing was changed',
          hint: 'Omit --without-old to compare the two.',
        },
      );
    }
    requireHold(tenant);
    await whileClosed(config, tenant, input, async (closed) => {
      await requireCopy(config, { tenant, place, closed }, input);
      await closed.requireAlone();
      await changePlace(central, tenant, to).catch((error: unknown) => {
        // It may have been done all the same: then the old one must not take anything any more.
        if (central.connection.lost) closed.keepClosed();
        throw error;
      });
    });
    const done = `the old database "${tenant.database}" on server "${tenant.server}" is closed to all connections. When you no longer need it: drop database ${identifier(tenant.database)};`;
    const notCompared =
      'only the number of rows was compared: if the copy was made before the hold, rows that were changed in between are old in it, and only the old database has them';
    return [...(input.countsOnly ? [notCompared] : []), done, ...folderAlong()];
  };
  return change(config, wanted, 'moved', act, input);
}

function refuseSameLocation(config: Config, { id, name, server, database }: Tenant, place: Location): void {
  if (place.server !== server || place.database !== database) return;
  throw new MpmError('USAGE', `${name} (${id}) is "${database}" on server "${server}" already`, {
    subject: name,
    hint: `Name another server: ${Object.keys(config.servers).join(', ')}; or another database: --database NAME`,
  });
}

/** Whoever could write while the copy was made has written what is in the old one only. */
function requireHold(tenant: Tenant): void {
  if (tenant.status === 'hold') return;
  throw new MpmError('TENANT_STATUS', `${tenant.name} (${tenant.id}) is ${tenant.status}, not on hold`, {
    subject: tenant.name,
    aftermath: 'nothing was changed',
    hint: howToCopy(tenant),
  });
}

/** Undefined when the server has no such database. */
async function oidAt(config: Config, { server, database }: Location): Promise<string | undefined> {
  return withServer(
    config,
    server,
    async (connection) => (await findDatabases(connection, [database]))[0]?.oid,
  );
}

async function requireThere(config: Config, tenant: Tenant, place: Location): Promise<string> {
  const oid = await oidAt(config, place);
  if (oid !== undefined) return oid;
  const { database, server } = place;
  throw new MpmError('DATABASE_MISSING', `there is no database "${database}" on server "${server}"`, {
    subject: database,
    aftermath: 'nothing was changed',
    hint: howToCopy(tenant),
  });
}

function goneFor(tenant: Tenant, code: MpmError['code'], message: string, cause?: unknown): MpmError {
  return new MpmError(code, message, {
    subject: tenant.name,
    cause,
    aftermath: 'nothing was changed',
    hint: 'If it is gone for good, add --without-old.',
  });
}

/** @throws MpmError WRONG_DATABASE */
async function requireCopy(
  config: Config,
  { tenant, place, closed }: { tenant: Tenant; place: Location; closed: Closed },
  { countsOnly = false, signal }: MoveInput,
): Promise<void> {
  const { server, database } = place;
  const target = {
    url: directUrlOf(config, server),
    database,
    tenant,
    applicationName: `mpm-migrate/move/${tenant.id}`,
    connectTimeout: config.pace.connectTimeout,
  };
  await withConnection(target, async (connection) => {
    connection.describeLoss = lossOf(`database "${database}"`);
    const read = { countsOnly, signal };
    const wrong = (what: string) =>
      new MpmError('WRONG_DATABASE', `the database "${database}" on server "${server}" has ${what}`, {
        subject: tenant.name,
        aftermath: 'nothing was changed',
        hint: howToCopy(tenant),
      });
    const { id, name } = tenant;
    const histories = [await historyAt(config, closed.old), await historyAt(config, connection)];
    if (histories[0] !== histories[1])
      throw wrong(`another history than ${name} (${id}): it is not its copy`);
    const [old, now] = await Promise.allSettled([
      readContents(closed.old, read),
      readContents(connection, read),
    ]);
    if (old.status === 'rejected') throw old.reason;
    if (now.status === 'rejected') throw now.reason;
    const difference = differenceOf(old.value, now.value);
    if (difference)
      throw wrong(`other data than ${name} (${id}), it is not its copy or an old one: ${difference}`);
  });
}

/** All of a history in which a copy is like its original, and no other database. */
async function historyAt({ history }: Config, connection: Connection): Promise<string> {
  const { bootstrapped } = await readState(connection, { history });
  const rows = bootstrapped ? await readRows(connection, history) : [];
  const line = ({ name, checksum, state, startedAt }: HistoryRow) =>
    `${name} ${checksum} ${state} ${startedAt}`;
  return rows.map(line).join('\n');
}

function howToCopy({ id }: Tenant): string {
  return `Copy it while nobody writes to it: mpm-migrate tenant hold ${idWord(id)} --reason moving, then pg_dump and restore.`;
}
