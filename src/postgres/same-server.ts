import { randomInt } from 'node:crypto';
import type { Connection } from './connection.ts';
import { SQLSTATE, sqlstateOf } from './sqlstate.ts';

/** `copy`: restored from a base backup of the other, or its standby; it has the other's identifier. */
export type Sameness = 'same' | 'copy' | 'different';

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
