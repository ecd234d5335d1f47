import type { Config } from '../../config/define.ts';
import { MpmError } from '../../errors.ts';
import type { Connection } from '../../postgres/connection.ts';
import { identifier } from '../../postgres/quote.ts';
import { databaseFields, isServerError, SQLSTATE } from '../../postgres/sqlstate.ts';

/** What the list of tenants is read with; the central database is one. */
export interface Listing {
  connection: Connection;
  config: Config;
}

/**
 * The list of tenants as one subselect, whatever table or query it comes from: `id` in its own type, `name`,
 * `database`, `server`, `status` and `reason` as text, `labels` as jsonb, `plugins` as a jsonb array of names.
 */
export function listingOf(tenants: Config['tenants']): string {
  if ('builtIn' in tenants) return BUILT_IN;
  if ('query' in tenants) return normalised(`(${bareQuery(tenants.query)}\n)`);
  const { id, name, database, ...optional } = tenants.columns;
  const columns = Object.entries({ id, name, database, ...optional })
    .filter((entry): entry is [string, string] => entry[1] !== undefined)
    .map(([word, column]) => `r.${identifier(column)} as ${identifier(word)}`);
  return normalised(`(select ${columns.join(', ')} from ${tableName(tenants.table)} r)`);
}

const BUILT_IN = `(select c.id, c.name::text as name, d.database_name::text as database,
  coalesce(d.server::text, 'default') as server, coalesce(d.status::text, 'active') as status,
  coalesce(d.labels::jsonb, '{}') as labels, d.reason::text as reason,
  coalesce((select jsonb_agg(p.name) from public.company_plugins i join public.plugins p on p.id = i.plugin_id
    where i.company_id = c.id), '[]') as plugins
from public.companies c left join public.company_databases d on d.company_id = c.id)`;

/** Columns that a query need not return are read through its row as JSON, where a missing key is null. */
function normalised(from: string): string {
  return `(select q.id, q.name::text as name, q.database::text as database,
  coalesce(j.r ->> 'server', 'default') as server, coalesce(j.r ->> 'status', 'active') as status,
  case jsonb_typeof(j.r -> 'labels') when 'object' then j.r -> 'labels'
    when 'string' then (j.r ->> 'labels')::jsonb else '{}' end as labels, j.r ->> 'reason' as reason,
  case jsonb_typeof(j.r -> 'plugins') when 'array' then j.r -> 'plugins'
    when 'string' then (j.r ->> 'plugins')::jsonb else '[]' end as plugins
from ${from} q cross join lateral (select to_jsonb(q) as r) j)`;
}

/** A query as people write it: with a semicolon at its end, or a comment behind it. */
function bareQuery(query: string): string {
  return query.replace(/(?:;|\s|--[^\n]*$)+$/, '');
}

/** `app.tenants`, `"My App".tenants` or `tenants`, quoted part by part. */
export function tableName(table: string): string {
  const parts = table.match(/"(?:[^"]|"")+"|[^."]+/g) ?? [table];
  return parts
    .map((part) => (part.startsWith('"') ? part.slice(1, -1).replaceAll('""', '"') : part))
    .map(identifier)
    .join('.');
}

/** Makes a configuration's error of what the server says about the list of tenants. */
export async function listingError(error: unknown, { connection, config }: Listing): Promise<unknown> {
  // Class 42: what is asked for is not there or not allowed; class 22: a value does not fit.
  if (!isServerError(error) || !/^(42|22)/.test(error.code)) return error;
  const options = { cause: error, database: databaseFields(error) };
  if ('builtIn' in config.tenants) {
    return new MpmError('CENTRAL_INVALID', `the list of tenants cannot be read: ${error.message}`, {
      ...options,
      subject: connection.database,
      hint:
        error.code === SQLSTATE.insufficientPrivilege
          ? 'Grant the user select on companies, company_databases, plugins and company_plugins.'
          : 'mpm-migrate central up creates and fixes the tables; to use others, set "tenants" in the configuration.',
    });
  }
  const where = 'query' in config.tenants ? 'tenants.query' : `tenants.table ${config.tenants.table}`;
  const missing = 'query' in config.tenants ? await missingColumns(connection, config.tenants.query) : [];
  const what = missing.length
    ? `does not return ${missing.map((name) => `"${name}"`).join(', ')}`
    : `fails: ${error.message}`;
  return new MpmError('CENTRAL_INVALID', `${where} ${what}`, {
    ...options,
    subject: where,
    hint: 'It must list the tenants: id, name, database, and optionally server, status, labels (a JSON object), plugins (a JSON array of names).',
  });
}

async function missingColumns(connection: Connection, query: string): Promise<string[]> {
  const missing: string[] = [];
  for (const name of ['id', 'name', 'database']) {
    try {
      await connection.application.query(`select q.${name} from (${bareQuery(query)}\n) q limit 0`);
    } catch (error) {
      const ofOurs = isServerError(error) && error.message.includes(`column q.${name} does not exist`);
      if (ofOurs) missing.push(name);
    }
  }
  return missing;
}
