import { resolve } from 'node:path';
import { type Pace, parseDuration, type Duration } from '../pace.ts';
import type { Address } from '../postgres/address.ts';
import { ConnectionSource } from './connection-function.ts';
import type { Config, SessionLimits, UrlInput } from './define.ts';
import type { CheckedConfig } from './parse.ts';
import { Secret, SecretUrl } from './secret-url.ts';
import { type Environment, completeUrl, withDatabase } from './url.ts';

const MINUTE = 60_000;

/** What holds when nothing is said. Times in ms. */
const PACE = {
  lockTimeout: 1_000,
  statementTimeout: 0,
  idleInTransactionTimeout: 10 * MINUTE,
  lockWait: 30_000,
  retries: 10,
  connectTimeout: 10_000,
} as const;

const SESSIONS = {
  connections: 32,
  perTenant: 8,
  waitTimeout: 10_000,
  idleTimeout: MINUTE,
  ttl: 10_000,
} as const;

/** Where a configuration came from. */
export interface Origin {
  /** Nothing says where the central database is. */
  absent?: boolean;
  file?: string;
  leftOut?: string;
  /** What relative paths start from. */
  root: string;
  env: Environment;
  actor?: string;
}

/** Fills in the defaults, makes paths absolute and times numbers. */
export function complete(
  checked: CheckedConfig,
  { file, leftOut, root, env, actor, absent }: Origin,
): Config {
  const paced = paceOf(checked.pace ?? {});
  const reach = addressesOf(checked, { root, env, timeLimit: paced.connectTimeout });
  const { migrations = {}, tenants, users, sessions = {}, history = {}, databases = {} } = checked;
  const folder = (path: string | undefined, usual: string) => resolve(root, path ?? usual);
  return {
    ...(file !== undefined && { file }),
    ...(leftOut !== undefined && { leftOut }),
    root,
    ...reach,
    ...(absent && { central: { ...reach.central, absent } }),
    migrations: {
      core: folder(migrations.core, 'migrations/core'),
      central: folder(migrations.central, 'migrations/central'),
      tenants: folder(migrations.tenants, 'migrations/tenants'),
      plugins: folder(migrations.plugins, 'migrations/plugins'),
      seeds: folder(migrations.seeds, 'migrations/seeds'),
      ...(migrations.templates !== undefined && { templates: resolve(root, migrations.templates) }),
      order: migrations.order ?? 'version',
      sameVersion: migrations.sameVersion ?? [],
      unnumbered: migrations.unnumbered ?? [],
    },
    tenants: tenants ?? { builtIn: true },
    templates: checked.templates !== false,
    ...(typeof checked.templates === 'object' && { perTenant: checked.templates.except }),
    ...(users !== undefined && { users }),
    ...(checked.waves !== undefined && { waves: checked.waves }),
    ...(checked.outOfOrder !== undefined && { outOfOrder: checked.outOfOrder }),
    ...(checked.folders !== undefined && { folders: checked.folders }),
    sessions: sessionsOf(sessions),
    history: {
      schema: history.schema ?? 'mpm_migrate',
      table: history.table ?? 'history',
      owners: history.owners ?? [],
    },
    databases: {
      connect: databases.connect ?? [],
      ...(databases.template !== undefined && { template: databases.template }),
    },
    ...(checked.lint !== undefined && { lint: checked.lint }),
    ...(checked.verify !== undefined && { verify: checked.verify }),
    pace: paced,
    ...(actor !== undefined && { actor }),
  };
}

function sessionsOf(sessions: NonNullable<CheckedConfig['sessions']>): SessionLimits {
  const { connections = SESSIONS.connections, perTenant = SESSIONS.perTenant } = sessions;
  return {
    connections,
    perTenant,
    waitTimeout: ms(sessions.waitTimeout, SESSIONS.waitTimeout),
    idleTimeout: ms(sessions.idleTimeout, SESSIONS.idleTimeout),
    ttl: ms(sessions.ttl, SESSIONS.ttl),
    reset: sessions.reset ?? 'auto',
  };
}

function ms(value: Duration | undefined, usual: number): number {
  return value === undefined ? usual : (parseDuration(value) ?? usual);
}

function paceOf(pace: NonNullable<CheckedConfig['pace']>): Pace {
  return {
    ...(pace.concurrency !== undefined && { concurrency: pace.concurrency }),
    lockTimeout: ms(pace.lockTimeout, PACE.lockTimeout),
    statementTimeout: ms(pace.statementTimeout, PACE.statementTimeout),
    idleInTransactionTimeout: ms(pace.idleInTransactionTimeout, PACE.idleInTransactionTimeout),
    lockWait: ms(pace.lockWait, PACE.lockWait),
    retries: pace.retries ?? PACE.retries,
    connectTimeout: ms(pace.connectTimeout, PACE.connectTimeout),
  };
}

const CENTRAL_DATABASE = 'micro_power_manager';
/** Only used to reach a server. */
const SERVER_DATABASE = 'postgres';

interface UrlOrigin {
  root: string;
  env: Environment;
  /** ms, for a function that describes a connection. */
  timeLimit: number;
}

/** Makes of what the configuration says how the central database and each server are reached. */
function addressesOf(
  { central, servers = {} }: CheckedConfig,
  origin: UrlOrigin,
): Pick<Config, 'central' | 'servers'> {
  const { url, standard } = centralOf(central, origin);
  const named = Object.entries(servers).map(([name, server]) => [name, serverOf(name, server, origin)]);
  return {
    central: { url },
    servers: { default: { name: 'default', url: standard }, ...Object.fromEntries(named) },
  };
}

/** @returns with it the server that it is on, for other databases there */
function centralOf(
  { url, connection }: CheckedConfig['central'],
  { root, env, timeLimit }: UrlOrigin,
): { url: Address; standard: Address } {
  if (connection) {
    const name = 'central.connection';
    return {
      url: new ConnectionSource(name, connection, {
        server: 'central',
        database: CENTRAL_DATABASE,
        timeLimit,
      }),
      standard: new ConnectionSource(name, connection, {
        server: 'default',
        database: SERVER_DATABASE,
        timeLimit,
      }),
    };
  }
  const complete = (text: string): string =>
    completeUrl(text, env, { name: CENTRAL_DATABASE, fromEnv: true });
  const other = (text: string): string => withDatabase(complete(text), SERVER_DATABASE);
  if (typeof url !== 'object') return { url: complete(url ?? ''), standard: other(url ?? '') };
  const key = 'central.url';
  const secret = new Secret(url, { key, root });
  return { url: new SecretUrl(key, secret, complete), standard: new SecretUrl(key, secret, other) };
}

function serverOf(
  name: string,
  { url, directUrl, connection, maxConnections, maxLag }: NonNullable<CheckedConfig['servers']>[string],
  { root, env, timeLimit }: UrlOrigin,
): Config['servers'][string] {
  const key = `servers.${name}`;
  const complete = (text: string): string =>
    completeUrl(text, env, { name: SERVER_DATABASE, fromEnv: false });
  const address = (given: UrlInput, at: string): Address =>
    typeof given === 'string'
      ? complete(given)
      : new SecretUrl(at, new Secret(given, { key: at, root }), complete);
  const to = { server: name, database: SERVER_DATABASE, timeLimit };
  return {
    name,
    url: connection
      ? new ConnectionSource(`${key}.connection`, connection, to)
      : address(url ?? '', `${key}.url`),
    ...(directUrl !== undefined && { directUrl: address(directUrl, `${key}.directUrl`) }),
    ...(maxConnections !== undefined && { maxConnections }),
    ...(maxLag !== undefined && { maxLag: parseDuration(maxLag) ?? 0 }),
  };
}
