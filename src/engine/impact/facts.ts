import type { Connection } from '../../postgres/connection.ts';
import { literal } from '../../postgres/quote.ts';
import { SESSION_PATH } from '../../postgres/settings.ts';
import { isServerError, SQLSTATE } from '../../postgres/sqlstate.ts';
import type { Facts } from '../sql/effects/answer.ts';
import type { Question } from '../sql/effects/effect.ts';
import type { ColumnType, RelationName } from '../sql/effects/tree.ts';
import type { MigrationEffects } from './effects-read.ts';

/** A relation of one database that statements name; of an index, its table. */
export interface FoundRelation {
  /** With its schema, unless that is `public`. */
  name: string;
  /** With indexes and TOAST, in bytes. */
  bytes: number;
  /** The same with partitions and children. */
  treeBytes: number;
}

/** What one database says of the relations that statements name. */
export interface DatabaseFacts extends Facts {
  relation(name: RelationName): FoundRelation | undefined;
  /** Whether a function of that name is there that neither PostgreSQL nor an extension brought. */
  isOwn(name: string): boolean;
}

/** What is asked; one for all databases in which the same migrations are pending. */
interface Asked {
  relations: RelationName[];
  columns: { relation: RelationName; column: string }[];
  indexes: string[];
  functions: string[];
  types: string[];
}

const asked = new WeakMap<MigrationEffects, Asked>();

/** Reads what the effects of migrations come to in a database: one message, which waits for no lock. */
export async function readFacts(connection: Connection, effects: MigrationEffects): Promise<DatabaseFacts> {
  const ask = asked.get(effects) ?? askOf(effects);
  asked.set(effects, ask);
  const read = async (sizeOf: string) => {
    const rows = await connection.query<{ facts: Answered }>(factsSql(ask, sizeOf));
    return rows[0]?.facts;
  };
  const answered = await read('pg_total_relation_size(t.oid)').catch((error: unknown) => {
    if (!isServerError(error) || error.code !== SQLSTATE.lockNotAvailable) throw error;
    // Somebody has one of them locked: what the catalog last counted has to do.
    return read(
      "(select greatest(k.relpages, 0)::int8 * current_setting('block_size')::int8 from pg_class k where k.oid = t.oid)",
    );
  });
  return factsFrom(ask, answered ?? NOTHING);
}

function key({ schema = '', name }: RelationName): string {
  return `${schema}\n${name}`;
}

function askOf({ statements, calls }: MigrationEffects): Asked {
  const relations = new Map<string, RelationName>();
  const columns = new Map<string, Asked['columns'][number]>();
  const names = { indexes: new Set<string>(), functions: new Set<string>(), types: new Set<string>() };
  const ask = (relation: RelationName, question: Question): void => {
    const of = (column: string) => columns.set(`${key(relation)}\n${column}`, { relation, column });
    if (question.asks === 'type-change') of(question.column);
    if (question.asks === 'not-null') question.columns?.forEach(of);
    if (question.asks === 'not-null' && question.index !== undefined) names.indexes.add(question.index);
    if (question.asks === 'volatile') question.functions.forEach((name) => names.functions.add(name));
    if (question.asks === 'domain') names.types.add(question.type.name);
  };
  for (const { relation, rewrite, scan } of statements.flatMap(({ tables }) => tables)) {
    relations.set(key(relation), relation);
    for (const answer of [rewrite, scan]) if (typeof answer === 'object') ask(relation, answer);
  }
  for (const { what } of calls) names.functions.add(what);
  return {
    relations: [...relations.values()],
    columns: [...columns.values()],
    indexes: [...names.indexes],
    functions: [...names.functions],
    types: [...names.types],
  };
}

/** What the query returns; each list is in the order of what was asked. */
interface Answered {
  relations: { at: number; name: string; bytes: number; tree: number }[];
  columns: {
    at: number;
    type: string;
    own: boolean;
    array: boolean;
    modifiers: string | null;
    notnull: boolean;
  }[];
  indexes: { name: string; notnull: boolean }[];
  functions: { name: string; volatile: boolean; own: boolean }[];
  types: { name: string; constrained: boolean }[];
}

const NOTHING: Answered = { relations: [], columns: [], indexes: [], functions: [], types: [] };

function rowsOf(values: readonly (readonly (string | number | null)[])[], types: string): string {
  const cell = (value: string | number | null) =>
    value === null ? 'null' : typeof value === 'number' ? String(value) : literal(value);
  const rows = values.map((row) => `(${row.map(cell).join(', ')})`).join(', ');
  return rows ? `(values ${rows})` : `(select ${types} where false)`;
}

/**
 * The names are looked up as a migration's session finds them, but by our own query: its path is told, and not followed,
 * so that no operator or function of a tenant's is called (engine 33).
 */
function factsSql({ relations, columns, indexes, functions, types }: Asked, sizeOf: string): string {
  const wanted = rowsOf(
    relations.map(({ schema = null, name }, at) => [at, schema, name]),
    'null::int4, null::text, null::text',
  );
  const places = new Map(relations.map((relation, at) => [key(relation), at]));
  const wantedColumns = rowsOf(
    columns.map(({ relation, column }, at) => [at, places.get(key(relation)) ?? -1, column]),
    'null::int4, null::int4, null::text',
  );
  const list = (names: readonly string[]) =>
    rowsOf(
      names.map((name) => [name]),
      'null::text',
    );
  const notNull = (
    relation: string,
    column: string,
  ) => `(${column}.attnotnull and not exists (select from pg_constraint k
      where k.conrelid = ${relation} and k.contype = 'n' and k.conkey = array[${column}.attnum] and not k.convalidated)
    or exists (select from pg_constraint k where k.conrelid = ${relation} and k.contype = 'c' and k.convalidated
      and pg_get_constraintdef(k.oid) = 'CHECK ((' || quote_ident(${column}.attname) || ' IS NOT NULL))'))`;
  const all = (select: string) => `(select coalesce(json_agg(r), '[]') from (${select}) r)`;
  return `${SESSION_PATH};
select pg_catalog.set_config('mpm_migrate.path', pg_catalog.array_to_json(pg_catalog.current_schemas(true))::pg_catalog.text, true);
set local search_path = pg_catalog, pg_temp;
set local lock_timeout = 200;
with recursive path as (select p.schema, p.place from json_array_elements_text(current_setting('mpm_migrate.path')::json) with ordinality p (schema, place)),
wanted (at, schema, name) as ${wanted},
named as (select w.at, (select c.oid from pg_class c join pg_namespace n on n.oid = c.relnamespace left join path p on p.schema = n.nspname
  where c.relname = w.name and (n.nspname = w.schema or (w.schema is null and p.place is not null)) order by p.place limit 1) as oid from wanted w),
found as (select f.at, coalesce((select i.indrelid from pg_index i where i.indexrelid = f.oid), f.oid) as oid from named f where f.oid is not null),
tree (at, oid) as (select at, oid from found union select t.at, i.inhrelid from tree t join pg_inherits i on i.inhparent = t.oid)
select json_build_object(
  'relations', ${all(`select f.at, case when n.nspname = 'public' then c.relname else n.nspname || '.' || c.relname end as name,
    (select ${sizeOf} from found t where t.at = f.at and c.relkind in ('r', 'm', 'p')) as bytes,
    (select sum(${sizeOf}) from tree t join pg_class k on k.oid = t.oid and k.relkind in ('r', 'm', 'p') where t.at = f.at) as tree
    from found f join pg_class c on c.oid = f.oid join pg_namespace n on n.oid = c.relnamespace`)},
  'columns', ${all(`select w.at, case when y.nspname = 'pg_catalog' then b.typname else y.nspname || '.' || b.typname end as type,
    y.nspname = 'pg_catalog' and b.typtype = 'b' as own, t.typcategory = 'A' as array,
    (regexp_match(format_type(a.atttypid, a.atttypmod), '\\(([0-9, ]+)\\)'))[1] as modifiers, ${notNull('f.oid', 'a')} as notnull
    from ${wantedColumns} w (at, relation, name) join found f on f.at = w.relation
    join pg_attribute a on a.attrelid = f.oid and a.attname = w.name and not a.attisdropped join pg_type t on t.oid = a.atttypid
    join pg_type b on b.oid = case when t.typcategory = 'A' then t.typelem else t.oid end join pg_namespace y on y.oid = b.typnamespace`)},
  'indexes', ${all(`select w.name, (select bool_and(${notNull('i.indrelid', 'a')}) from pg_attribute a
    where a.attrelid = i.indrelid and a.attnum = any (i.indkey::int2[])) as notnull
    from ${list(indexes)} w (name) join pg_class c on c.relname = w.name join pg_index i on i.indexrelid = c.oid`)},
  'functions', ${all(`select w.name, bool_or(p.provolatile = 'v') as volatile,
    bool_or(p.pronamespace <> 'pg_catalog'::regnamespace and not exists (select from pg_depend d
      where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')) as own from ${list(functions)} w (name) join pg_proc p on p.proname = w.name group by 1`)},
  'types', ${all(`select w.name, bool_or(exists (select from pg_constraint k where k.contypid = t.oid)) as constrained
    from ${list(types)} w (name) join pg_type t on t.typname = split_part(w.name, '.', -1) group by 1`)}) as facts`;
}

function factsFrom(ask: Asked, found: Answered): DatabaseFacts {
  const relations = new Map(
    found.relations.map(({ at, name, bytes, tree }) => [
      key(ask.relations[at] ?? { name }),
      { name, bytes: Number(bytes ?? 0), treeBytes: Number(tree ?? 0) },
    ]),
  );
  const columns = new Map(
    found.columns.flatMap((row) => {
      const { relation, column } = ask.columns[row.at] ?? {};
      return relation ? [[`${key(relation)}\n${column}`, row]] : [];
    }),
  );
  const column = (relation: RelationName, name: string) => columns.get(`${key(relation)}\n${name}`);
  const named = <T extends { name: string }>(rows: readonly T[], name: string) =>
    rows.find((row) => row.name === name);
  return {
    relation: (name) => relations.get(key(name)),
    typeOf: (relation, name): ColumnType | undefined => {
      const row = column(relation, name);
      return (
        row && {
          name: row.type,
          isBuiltIn: row.own,
          isArray: row.array,
          modifiers: row.modifiers?.split(',').map(Number) ?? [],
        }
      );
    },
    isNotNull: (relation, { columns: names, index }) => {
      if (index !== undefined) return named(found.indexes, index)?.notnull;
      const known = names?.map((name) => column(relation, name)?.notnull) ?? [undefined];
      return known.includes(undefined) ? undefined : known.every((each) => each === true);
    },
    isVolatile: (name) => named(found.functions, name)?.volatile,
    isOwn: (name) => named(found.functions, name)?.own === true,
    isConstrained: ({ name }) => named(found.types, name)?.constrained,
  };
}
