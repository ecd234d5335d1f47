import { randomInt } from 'node:crypto';
import type { ConnectionOptions } from 'node:tls';
import type { Connection } from './connection.ts';
import { SQLSTATE, sqlstateOf } from './sqlstate.ts';

/** How to connect, in the driver's words: the part of pg's `ClientConfig` that says where to, and as whom. */
export interface ConnectionConfig {
  /** A URL; what else is given goes before what it says. */
  connectionString?: string | undefined;
  /** A name, an address, or the folder of a socket. */
  host?: string | undefined;
  port?: number | undefined;
  user?: string | undefined;
  password?: string | (() => string | Promise<string>) | undefined;
  /** Only where none is asked for: a tenant's is the one of its row. */
  database?: string | undefined;
  ssl?: boolean | ConnectionOptions | undefined;
  /** Command line options for the session, such as `-c role=app`. */
  options?: string | undefined;
}

/** What is about to be connected to. */
export interface ConnectionRequest {
  /** A name of `servers`; `default` for the central database's server, `central` for that database itself. */
  server: string;
  database: string;
  /** Whose database it is. Undefined for the central database, and for what is done on a server as a whole. */
  tenant: { id: string; name: string } | undefined;
  /** For a session of an application, which may go through a pooler; all else must reach PostgreSQL itself. */
  session: boolean;
}

/** Where a connection leads. */
export interface UrlPlace {
  host: string;
  port: number;
  database: string;
  user: string;
}

/** An address that is looked up when it is needed. */
export interface AddressSource {
  /** What it is called in messages: `servers.eu.connection`. */
  readonly name: string;
  /** Where it led the last time. */
  place?: UrlPlace;
  /** Where none is asked for, and what it finds names none. */
  readonly database?: string;
  /**
   * @returns a URL, or the driver's configuration
   * @throws MpmError CONNECTION, CONFIG_INVALID; what it found is in neither
   */
  lookUp(
    request: Pick<ConnectionRequest, 'tenant' | 'session'> & { database?: string | undefined },
  ): Promise<string | ConnectionConfig>;
  /** Another URL after the server refused the login of that one; undefined: there is none. Throws as `lookUp`. */
  again?(refused: string): Promise<string | undefined>;
}

/** A URL, or what gives one. */
export type Address = string | AddressSource;

/** `copy`: restored from a base backup of the other, or its standby; it has the other's identifier. */
type Sameness = 'same' | 'copy' | 'different';

/**
 * The identifier that a server got when it was made; undefined where we may not read it. Copies and standbys have it
 * from their original.
 */
export async function systemIdentifier(connection: Connection): Promise<string | undefined> {
  try {
    const [row] = await connection.query<{ id: string }>(
      'select system_identifier::text as id from pg_catalog.pg_control_system()',
    );
    return row?.id;
  } catch (error) {
    if (sqlstateOf(error) === SQLSTATE.insufficientPrivilege) return undefined;
    throw error;
  }
}

/**
 * Whether two connections lead to one server, whatever its names and addresses: then a lock that is taken through the
 * one is seen through the other.
 * @param one in no transaction
 */
export async function compareServers(one: Connection, other: Connection): Promise<Sameness> {
  const [id, otherId] = [await systemIdentifier(one), await systemIdentifier(other)];
  if (id !== undefined && otherId !== undefined && id !== otherId) return 'different';
  const keys = [randomInt(2 ** 31), randomInt(2 ** 31)] as const;
  try {
    await one.query(`begin;\nselect pg_catalog.pg_advisory_xact_lock(${keys.join(', ')})`);
    const seen = await other.query(
      `select from pg_catalog.pg_locks where locktype = 'advisory' and granted and objsubid = 2
  and classid::bigint = ${keys[0]} and objid::bigint = ${keys[1]}`,
    );
    if (seen.length) return 'same';
    return id !== undefined && id === otherId ? 'copy' : 'different';
  } finally {
    if (!one.lost) await one.query('rollback');
  }
}
