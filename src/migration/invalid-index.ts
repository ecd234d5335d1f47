import type { Connection } from '../postgres/connection.ts';
import { identifier, literal } from '../postgres/quote.ts';

/** The index of a CREATE INDEX CONCURRENTLY; a name that the server chose is not known. */
export interface ConcurrentIndex {
  schema: string | undefined;
  table: string;
  index: string | undefined;
}

/**
 * The qualified name of that index when it is invalid: what a failed CREATE INDEX CONCURRENTLY leaves behind, and
 * what IF NOT EXISTS then takes for the real thing (engine 11). Without a name: any invalid one of the table.
 */
export async function invalidIndex(
  connection: Connection,
  wanted: ConcurrentIndex,
): Promise<string | undefined> {
  const table = wanted.schema
    ? `${identifier(wanted.schema)}.${identifier(wanted.table)}`
    : identifier(wanted.table);
  const named = wanted.index === undefined ? 'true' : `c.relname = ${literal(wanted.index)}`;
  const [row] = await connection.query<{
    name: string;
  }>(`select pg_catalog.format('%I.%I', n.nspname, c.relname) as name
from pg_catalog.pg_index i join pg_catalog.pg_class c on c.oid = i.indexrelid join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where i.indrelid = pg_catalog.to_regclass(${literal(table)}) and not i.indisvalid and ${named} limit 1`);
  return row?.name;
}

/** Drops that index when it is invalid, so that the statement builds it anew. Only one that is named can be ours. */
export async function dropInvalidIndex(connection: Connection, wanted: ConcurrentIndex): Promise<void> {
  if (wanted.index === undefined) return;
  const invalid = await invalidIndex(connection, wanted);
  if (invalid) await connection.query(`drop index concurrently ${invalid}`);
}
