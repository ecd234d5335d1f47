import type { Config } from '../config/define.ts';
import { MpmError } from '../errors.ts';
import { cancellableBy } from '../engine/apply/interrupt.ts';
import type { Address } from '../postgres/address.ts';
import type { Connection } from '../postgres/connection.ts';
import { connect, lossOf, withConnection } from '../postgres/connect.ts';

/**
 * Connects to a server to create and drop databases there: to its URL's database, or one that is always there.
 * @throws MpmError UNKNOWN_SERVER, and what `connect` throws
 */
export async function withServer<T>(
  config: Config,
  name: string,
  use: (connection: Connection) => Promise<T>,
): Promise<T> {
  const connection = await connectServer(config, name);
  try {
    return await use(connection);
  } finally {
    await connection.close();
  }
}

/** @throws MpmError UNKNOWN_SERVER */
export function serverOf(config: Config, name: string): Config['servers'][string] {
  const server = Object.hasOwn(config.servers, name) ? config.servers[name] : undefined;
  if (server) return server;
  throw new MpmError('UNKNOWN_SERVER', `there is no server "${name}" in the configuration`, {
    subject: name,
    hint: `Configured: ${Object.keys(config.servers).join(', ')}. Others go under "servers".`,
  });
}

/**
 * Where migrations and all else but an application's sessions go: past a pooler, which would keep a connection for
 * each database that it was asked for.
 * @throws MpmError UNKNOWN_SERVER
 */
export function directUrlOf(config: Config, name: string): Address {
  const { url, directUrl } = serverOf(config, name);
  return directUrl ?? url;
}

/** Connects to a new database that we make on a server. */
export function withNewDatabase<T>(
  config: Config,
  { server, database, purpose }: { server: string; database: string; purpose: string },
  use: (connection: Connection) => Promise<T>,
): Promise<T> {
  const url = directUrlOf(config, server);
  const { connectTimeout } = config.pace;
  const applicationName = `mpm-migrate/create/${purpose}`;
  return withConnection({ url, database, applicationName, connectTimeout }, (connection) => {
    connection.describeLoss = lossOf(`database "${database}"`);
    return use(connection);
  });
}

/** Does the work on that connection to a server, and cancels its statement once the signal is aborted. */
export function cancellableOn<T>(
  config: Config,
  { name, connection }: { name: string; connection: Connection },
  signal: AbortSignal | undefined,
  work: () => Promise<T>,
): Promise<T> {
  // Behind a pooler the pid is not the backend's, but perhaps somebody else's.
  const cancel = `select pg_catalog.pg_cancel_backend(pid) from pg_catalog.pg_stat_activity
where pid = ${connection.backendPid} and application_name = '${APPLICATION}' and state = 'active'`;
  return cancellableBy(signal, () => withServer(config, name, (own) => own.query(cancel)), work);
}

const APPLICATION = 'mpm-migrate/tenant';

/** As {@link withServer}, for who closes it. */
export async function connectServer(config: Config, name: string): Promise<Connection> {
  const target = {
    url: directUrlOf(config, name),
    applicationName: APPLICATION,
    connectTimeout: config.pace.connectTimeout,
  };
  const missing = (error: unknown) => error instanceof MpmError && error.code === 'DATABASE_MISSING';
  const connection = await connect(target).catch((error: unknown) => {
    if (!missing(error)) throw error;
    return connect({ ...target, database: 'postgres' }).catch((again: unknown) => {
      if (!missing(again)) throw again;
      return connect({ ...target, database: 'template1' });
    });
  });
  connection.describeLoss = lossOf(`server "${name}"`);
  return connection;
}
