import { literal } from '../postgres/quote.ts';
import type { Listing } from './list/listing.ts';

/** A database of the pool, or one that is becoming it or ceasing to be. */
export interface PoolRow {
  id: string;
  server: string;
  database: string;
  oid: string | null;
  blueprint: string;
  state: 'making' | 'ready' | 'dropping';
}

/** As part of a registration's statement: what it takes is the tenant's from then on, or was never taken. */
export function takeFromPool(
  { server, blueprint }: { server: string; blueprint: string },
  condition: string,
): string {
  return `delete from mpm_migrate.pool where id = (
    select id from mpm_migrate.pool where server = ${literal(server)} and blueprint = ${literal(blueprint)} and state = 'ready'
    order by id limit 1 for update skip locked) and ${condition} returning database_name, database_oid`;
}

export async function readPool({ connection }: Listing, server?: string): Promise<PoolRow[]> {
  return connection.query<PoolRow>(
    `select id::text as id, server, database_name as database, database_oid::text as oid, blueprint, state
from mpm_migrate.pool ${server === undefined ? '' : `where server = ${literal(server)} `}order by id`,
  );
}

export async function announcePooled(
  { connection }: Listing,
  { server, database, blueprint }: Pick<PoolRow, 'server' | 'database' | 'blueprint'>,
): Promise<string> {
  const [row] = await connection.query<{ id: string }>(
    `insert into mpm_migrate.pool (server, database_name, blueprint)
values (${literal(server)}, ${literal(database)}, ${literal(blueprint)}) returning id::text as id`,
  );
  if (!row) throw new Error('the row was not entered');
  return row.id;
}

export async function markReady({ connection }: Listing, id: string, oid: string): Promise<void> {
  await connection.query(
    `update mpm_migrate.pool set state = 'ready', database_oid = ${literal(oid)} where id = ${literal(id)}`,
  );
}

/** Takes a database out of reach of registrations. False: one of them was faster. */
export async function withdraw({ connection }: Listing, id: string): Promise<boolean> {
  const rows = await connection.query(
    `update mpm_migrate.pool set state = 'dropping' where id = ${literal(id)} returning id`,
  );
  return rows.length > 0;
}

export async function forgetPooled({ connection }: Listing, id: string): Promise<void> {
  await connection.query(`delete from mpm_migrate.pool where id = ${literal(id)}`);
}
