import type { Connection } from '../postgres/connection.ts';
import { identifier, literal } from '../postgres/quote.ts';

/** Where the data of a database stands: of each sequence and table, how far it has come. */
export type Traces = ReadonlyMap<string, string>;

interface Relation {
  schema: string;
  name: string;
  /** The column of a primary key whose order is the same everywhere. */
  key: string | null;
}

/** Tables looked into by one query. */
const AT_ONCE = 200;

/**
 * Reads where the data of a database stands, without reading it: the last value of each sequence, the highest key
 * of each table, and of tables without such a key whether they hold anything. Two tenants that were made from one
 * template have the same history; as soon as they are used, these differ.
 */
export async function readTraces(connection: Connection): Promise<Traces> {
  const traces = new Map<string, string>();
  const sequences = await connection.query<{ name: string; last: string | null }>(
    `select format('sequence %I.%I', schemaname, sequencename) as name, last_value::text as last from pg_catalog.pg_sequences`,
  );
  for (const { name, last } of sequences) traces.set(name, last ?? 'unused');
  const tables = await connection.query<Relation>(
    `select n.nspname::text as schema, c.relname::text as name, a.attname::text as key
from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
left join pg_catalog.pg_index i on i.indrelid = c.oid and i.indisprimary and i.indnatts = 1
left join pg_catalog.pg_attribute a on a.attrelid = c.oid and a.attnum = i.indkey[0]
  and a.atttypid in ('int2'::regtype, 'int4'::regtype, 'int8'::regtype, 'uuid'::regtype, 'timestamptz'::regtype, 'date'::regtype)
where c.relkind = 'r' and c.relpersistence <> 't' and n.nspname not in ('pg_catalog', 'information_schema')
  and pg_catalog.has_table_privilege(c.oid, 'select')
order by 1, 2`,
  );
  for (let from = 0; from < tables.length; from += AT_ONCE) {
    const each = tables.slice(from, from + AT_ONCE).map(({ schema, name, key }) => {
      const table = `${identifier(schema)}.${identifier(name)}`;
      const last =
        key === null
          ? `case when exists (select from ${table}) then 'rows' end`
          : `(select ${identifier(key)}::text from ${table} order by ${identifier(key)} desc limit 1)`;
      return `select ${literal(`table ${table}`)} as name, ${last} as last`;
    });
    const found = await connection.query<{ name: string; last: string | null }>(each.join(' union all '));
    for (const { name, last } of found) traces.set(name, last ?? 'empty');
  }
  return traces;
}

/** What differs between the two, in a few words; undefined when nothing does. */
export function differenceOf(old: Traces, now: Traces): string | undefined {
  const names = [...new Set([...old.keys(), ...now.keys()])].filter(
    (name) => old.get(name) !== now.get(name),
  );
  const [first] = names;
  if (first === undefined) return undefined;
  const more = names.length > 1 ? `, and ${names.length - 1} more differ` : '';
  return `${first}: ${now.get(first) ?? 'not there'} instead of ${old.get(first) ?? 'not there'}${more}`;
}
