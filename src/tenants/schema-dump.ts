import type { Config } from '../config/define.ts';
import { TOOL_TABLES } from '../dialects/other-tools.ts';
import { type HistoryTable, tableName } from '../engine/history/history.ts';
import { journalTable } from '../engine/history/trust.ts';
import { MpmError } from '../errors.ts';
import type { Connection } from '../postgres/connection.ts';
import type { DatabaseTarget } from '../postgres/connect.ts';
import { type DumpProgram, dump, type TableName } from '../postgres/pg-dump.ts';
import { identifier } from '../postgres/quote.ts';

/** What of a tenant's database is written down. */
export interface SchemaDumpOptions {
  /** Tables whose rows are taken along: `name`, or `schema.name`. */
  withData: readonly string[];
  privileges: boolean;
  /** As of {@link dump}. */
  env: NodeJS.ProcessEnv;
  signal?: AbortSignal | undefined;
}

interface Relation extends TableName {
  kind: string;
  /** Of a sequence: the table that owns it. */
  owner: TableName | null;
  /** Of a partition: the table whose rows it has. */
  root: TableName | null;
}

/**
 * A tenant's schema as SQL, by pg_dump: without the history, and without other tools' tables.
 * @param connection to that tenant
 * @throws MpmError USAGE for a table that isn't there; PROVISION_FAILED
 */
export async function dumpSchema(
  { history }: Config,
  program: DumpProgram,
  target: DatabaseTarget,
  connection: Connection,
  { withData, ...options }: SchemaDumpOptions,
): Promise<string> {
  const relations = await connection.query<Relation>(
    `select n.nspname::text as schema, c.relname::text as name, c.relkind::text as kind, (
  select pg_catalog.json_build_object('schema', tn.nspname, 'name', t.relname) from pg_catalog.pg_depend d
    join pg_catalog.pg_class t on t.oid = d.refobjid join pg_catalog.pg_namespace tn on tn.oid = t.relnamespace
    where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = c.oid and d.deptype in ('a', 'i')
      and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass limit 1) as owner, (
  select pg_catalog.json_build_object('schema', rn.nspname, 'name', r.relname) from pg_catalog.pg_class r
    join pg_catalog.pg_namespace rn on rn.oid = r.relnamespace
    where c.relispartition and r.oid = pg_catalog.pg_partition_root(c.oid)) as root
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p', 'S', 'm') and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'`,
  );
  const wanted = new Set(withData.map((word) => keyOf(tableCalled(relations, word))));
  const isWanted = (table: TableName | null): boolean => table !== null && wanted.has(keyOf(table));
  const isOurs = ({ schema, name }: TableName) =>
    schema === history.schema && ownTables(history).includes(name);
  const tables = relations.filter(
    (each) => isOurs(each) || ('rp'.includes(each.kind) && TOOL_TABLES.has(each.name)),
  );
  const left = new Set(tables.map(keyOf));
  const without = relations.filter(
    (each) => left.has(keyOf(each)) || (each.owner && left.has(keyOf(each.owner))),
  );
  for (const each of without) left.add(keyOf(each));
  const isTaken = (each: Relation) => isWanted(each) || isWanted(each.owner) || isWanted(each.root);
  const withoutData = relations.filter(
    (each) => each.kind !== 'm' && !left.has(keyOf(each)) && !isTaken(each),
  );
  const withoutSchemas = history.schema === OWN_SCHEMA ? [OWN_SCHEMA] : [];
  const sql = await dump(program, target, { ...options, without, withoutData, withoutSchemas });
  // Our own schema is made with the history.
  return sql.replace(new RegExp(`^CREATE SCHEMA ${escaped(history.schema)};\n`, 'm'), '');
}

const OWN_SCHEMA = 'mpm_migrate';

function escaped(schema: string): string {
  const plain = /^[a-z_][a-z0-9_]*$/.test(schema) ? schema : identifier(schema);
  return plain.replaceAll(/[\\^$.*+?()[\]{}|/]/g, String.raw`\$&`);
}

function ownTables(history: HistoryTable): string[] {
  const { table } = history;
  return [table, journalTable(history), `${table}_seeds`, `${table}_reference`];
}

function keyOf({ schema, name }: TableName): string {
  return tableName({ schema, table: name });
}

function tableCalled(relations: readonly Relation[], word: string): Relation {
  const found = relations.filter(
    ({ kind, schema, name }) =>
      (kind === 'r' || kind === 'p') && (word === `${schema}.${name}` || word === name),
  );
  const [one] = found;
  if (one && found.length === 1) return one;
  throw new MpmError(
    'USAGE',
    one
      ? `--with-data ${word}: there are ${found.length} tables of that name`
      : `--with-data ${word}: there is no such table`,
    {
      subject: word,
      hint: one
        ? `Choose one: --with-data ${one.schema}.${one.name}`
        : 'Name a table of that tenant as it is in the catalog, in another schema than public with its schema.',
    },
  );
}
