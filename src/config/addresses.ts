import type { Address } from '../postgres/address.ts';
import { ConnectionSource } from './connection-function.ts';
import type { Config, UrlInput } from './define.ts';
import type { CheckedConfig } from './parse.ts';
import { Secret, SecretUrl } from './secret-url.ts';
import { completeUrl, type Environment, withDatabase } from './url.ts';

const CENTRAL_DATABASE = 'micro_power_manager';
/** Only used to reach a server. */
const SERVER_DATABASE = 'postgres';

interface Origin {
  root: string;
  env: Environment;
  /** ms, for a function that describes a connection. */
  timeLimit: number;
}

/** Makes of what the configuration says how the central database and each server are reached. */
export function addressesOf(
  { central, servers = {} }: CheckedConfig,
  origin: Origin,
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
  { root, env, timeLimit }: Origin,
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
  { url, directUrl, connection, maxConnections }: NonNullable<CheckedConfig['servers']>[string],
  { root, env, timeLimit }: Origin,
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
  };
}
