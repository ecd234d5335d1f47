import { MpmError } from '../../errors.ts';
import type { Connection } from '../../postgres/connection.ts';
import { databaseFields, isServerError, SQLSTATE } from '../../postgres/sqlstate.ts';

/** What a database holds: of each table and sequence, by its name, how much and a digest of it. */
export type Contents = ReadonlyMap<string, Content>;

interface Content {
  /** Its columns and their types, in the order of their names: a restored table may have another order. */
  shape: string;
  /** Rows; of a sequence, its last value. */
  amount: string;
  /** Null when only rows were counted. */
  digest: string | null;
}

interface Relation {
  name: string;
  kind: 'r' | 'S';
  shape: string;
  columns: string;
}

/** Whose contents are data of the tenant: not what an extension brings along, unless pg_dump takes all of it. */
const RELATIONS = `select format('%I.%I', n.nspname, c.relname) as name, c.relkind::text as kind,
  coalesce(a.shape, '') as shape, coalesce(a.columns, '') as columns
from pg_class c join pg_namespace n on n.oid = c.relnamespace
left join lateral (
  select string_agg(format('%I %s', attname, format_type(atttypid, atttypmod)), ', ' order by attname) as shape,
    string_agg(format('r.%I', attname), ', ' order by attname) filter (where attgenerated = '') as columns
  from pg_attribute where c.relkind = 'r' and attrelid = c.oid and attnum > 0 and not attisdropped) a on true
where c.relkind in ('r', 'S') and c.relpersistence <> 't' and n.nspname <> 'information_schema' and n.nspname !~ '^pg_'
  and (not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
    or exists (select from pg_extension e, unnest(e.extconfig, e.extcondition) as own (oid, condition)
      where own.oid = c.oid and own.condition = ''))
order by 1`;

/**
 * Reads what a database holds, table by table. The digest of a table is a sum over its rows, so that their order does
 * not matter; PostgreSQL keeps the hash that it is made with the same in all versions, because hash partitions live by
 * it. The rows become text by the types' own output functions: a cast may be the tenant's.
 * @throws MpmError INTERRUPTED; WRONG_DATABASE naming the table that cannot be read
 */
export async function readContents(
  connection: Connection,
  { countsOnly, signal }: { countsOnly: boolean; signal: AbortSignal | undefined },
): Promise<Contents> {
  const contents = new Map<string, Content>();
  const add = async (name: string, shape: string, sql: string): Promise<void> => {
    if (signal?.aborted)
      throw new MpmError('INTERRUPTED', 'interrupted', { aftermath: 'nothing was changed' });
    const [found] = await connection.query<Omit<Content, 'shape'>>(sql).catch(unread(name));
    contents.set(name, { shape, amount: found?.amount ?? '0', digest: found?.digest ?? null });
  };
  for (const { name, kind, shape, columns } of await connection.query<Relation>(RELATIONS)) {
    if (kind === 'r') await add(`table ${name}`, shape, selectRows(`only ${name}`, columns, countsOnly));
    else
      await add(
        `sequence ${name}`,
        '',
        `select last_value::text as amount, is_called::text as digest from ${name}`,
      );
  }
  // Only a superuser may read them all; how many there are, everybody.
  const [pages] = await connection.query<{ readable: boolean }>(
    `select has_table_privilege('pg_catalog.pg_largeobject', 'select') as readable`,
  );
  await add('pg_largeobject_metadata', '', selectRows('pg_largeobject_metadata', 'r.oid', true));
  if (pages?.readable) {
    await add('pg_largeobject', '', selectRows('pg_largeobject', 'r.loid, r.pageno, r.data', countsOnly));
  }
  return contents;
}

/** Money is written as the database's locale has it. */
function selectRows(from: string, columns: string, countsOnly: boolean): string {
  const hash = `hashtextextended(format('%s', row(${columns})) collate "C", 0)`;
  const digest = countsOnly ? 'null' : `coalesce(sum(${hash}::numeric), 0)::text`;
  return `set local lc_monetary = 'C';\nselect count(*)::text as amount, ${digest} as digest from ${from} as r`;
}

function unread(name: string): (error: unknown) => never {
  return (error) => {
    if (!isServerError(error)) throw error;
    throw new MpmError('WRONG_DATABASE', `${name} cannot be compared: ${error.message}`, {
      subject: name,
      cause: error,
      database: databaseFields(error),
      aftermath: 'nothing was changed',
      hint:
        error.code === SQLSTATE.insufficientPrivilege
          ? 'The user must own it, or have SELECT on it; with policies, also bypassrls.'
          : 'Fix what the server reports, or compare only the number of rows: --counts-only.',
    });
  };
}

/** What differs between an old database and a new one, in a few words; undefined when nothing does. */
export function differenceOf(old: Contents, now: Contents): string | undefined {
  const names = [...new Set([...old.keys(), ...now.keys()])];
  const differences = names.flatMap((name) => {
    const difference = between(old.get(name), now.get(name));
    return difference ? [`${name} ${difference}`] : [];
  });
  const [first] = differences;
  if (first === undefined) return undefined;
  return differences.length > 1 ? `${first}; and ${differences.length - 1} more differ` : first;
}

function between(old: Content | undefined, now: Content | undefined): string | undefined {
  if (!old) return 'is not in the old one';
  if (!now) return 'is missing';
  if (old.shape !== now.shape) return `has the columns ${now.shape} instead of ${old.shape}`;
  if (old.amount !== now.amount) return `has ${now.amount} instead of ${old.amount}`;
  const known = old.digest !== null && now.digest !== null;
  return known && old.digest !== now.digest ? 'has other values, in as many rows' : undefined;
}
