import { MpmError } from '../../errors.ts';
import { conditionOf, type TenantFilter, PLACE } from './filter.ts';
import { type Listing, listingError, listingOf } from './listing.ts';
import { resolveFilter, resolveOne } from './resolve.ts';
import type { Tenant, TenantClash } from './tenant.ts';

export type { TenantFilter };
export { resolveFilter };

/** Tenants are read so many at a time. */
const PAGE = 500;

interface Row extends Omit<Tenant, 'database' | 'reason' | 'clash' | 'labels' | 'plugins'> {
  database: string | null;
  reason: string | null;
  /** Null where there are none, as of most. */
  labels: Record<string, unknown> | null;
  plugins: unknown;
}

/** Of one server, or of these ids alone; so many at a time. */
export interface Paging {
  server?: string;
  ids?: readonly string[];
  pageSize?: number;
}

/**
 * The tenants of a filter in the order of their ids. Each id comes once; a row that cannot be used comes too, and
 * `tenantProblem` says why.
 * @throws MpmError UNKNOWN_TENANT, USAGE (see `resolveFilter`), CENTRAL_INVALID
 */
export async function* streamTenants(listing: Listing, filter: TenantFilter): AsyncGenerator<Tenant> {
  const next = pagesOfTenants(listing, filter);
  for (let page = await next(); page; page = await next()) yield* page;
}

/**
 * The same page by page, undefined after the last one: memory does not grow with the fleet. A page that could not
 * be read is read by the next call.
 */
export function pagesOfTenants(
  listing: Listing,
  filter: TenantFilter,
  { server, ids, pageSize = PAGE }: Paging = {},
): () => Promise<Tenant[] | undefined> {
  let once: { filters: TenantFilter[]; clashes: Clashes } | undefined;
  let after: string | undefined;
  let ended = false;
  return async () => {
    if (ended) return undefined;
    once ??= {
      filters: [
        await resolveFilter(listing, filter),
        ...(server === undefined ? [] : [{ server }]),
        ...(ids === undefined ? [] : [{ ids }]),
      ],
      clashes: await findClashes(listing),
    };
    const { filters, clashes } = once;
    const page = await readPage(listing, filters, after, pageSize);
    after = page.at(-1)?.id;
    ended = page.length < pageSize;
    return page.map((row) => tenantOf(row, clashes));
  };
}

const COLUMNS = `t.id::text as id, coalesce(t.name, '') as name, t.database, t.server, t.status, t.reason,
  nullif(t.labels, '{}') as labels, nullif(t.plugins, '[]') as plugins`;

/** The rows of these tenants as they are now, by id; without those that are gone, and without what clashes. */
export async function readAgain(listing: Listing, ids: readonly string[]): Promise<Map<string, Tenant>> {
  const none: Clashes = { ids: new Set(), databases: new Map() };
  const rows = await listed<Row>(
    listing,
    [ids],
    (list) =>
      `select distinct on (t.id) ${COLUMNS} from ${list} t where t.id = any($1) order by t.id, t.database`,
  );
  return new Map(rows.map((row) => [row.id, tenantOf(row, none)]));
}

async function readPage(
  listing: Listing,
  filters: readonly TenantFilter[],
  after: string | undefined,
  limit: number,
): Promise<Row[]> {
  const values: unknown[] = [];
  const conditions = filters.map((filter) => conditionOf(filter, values));
  if (after !== undefined) conditions.push(`t.id > $${values.push(after)}`);
  return listed(
    listing,
    values,
    (list) => `select distinct on (t.id) ${COLUMNS} from ${list} t
where ${conditions.join(' and ')} order by t.id, t.database limit $${values.push(limit)}`,
  );
}

/** How many tenants of a filter each server has, also those that the configuration does not know. */
export async function countTenants(
  listing: Listing,
  filter: TenantFilter,
): Promise<{ server: string; count: number }[]> {
  const values: unknown[] = [];
  const condition = conditionOf(await resolveFilter(listing, filter), values);
  return listed(
    listing,
    values,
    (list) =>
      `select t.server, count(distinct t.id)::int as count from ${list} t where ${condition} group by t.server order by t.server`,
  );
}

/** How many tenants a session of this user sees, with the policies that hold for it. */
export async function countVisible(listing: Listing): Promise<number> {
  try {
    const [row] = await listing.connection.application.query<{ count: number }>(
      `set local row_security = on; select count(distinct t.id)::int as count from ${listingOf(listing.config.tenants)} t`,
    );
    return row?.count ?? 0;
  } catch (error) {
    throw await listingError(error, listing);
  }
}

/**
 * The one tenant that is meant by an id, a name or a database.
 * @throws MpmError UNKNOWN_TENANT with near matches, USAGE with the ids when several are meant
 */
export async function findTenant(listing: Listing, wanted: string): Promise<Tenant> {
  const ids = [await resolveOne(listing, wanted)];
  for await (const tenant of streamTenants(listing, { resolved: { anyOf: { ids, ranges: [] } } }))
    return tenant;
  throw new MpmError('UNKNOWN_TENANT', `Unknown tenant "${wanted}"`, { subject: wanted });
}

/** What the list says twice: few, or the list is broken. */
interface Clashes {
  ids: Set<string>;
  /** Server and database → the first tenant that has it. */
  databases: Map<string, string>;
}

async function findClashes(listing: Listing): Promise<Clashes> {
  const rows = await listed<{ server: string; database: string | null; ids: string[]; nameless: number }>(
    listing,
    [],
    (
      list,
    ) => `select null as server, null as database, array[t.id::text] as ids, count(*) filter (where t.id is null)::int as nameless
from ${list} t group by t.id having count(*) > 1 or t.id is null
union all
select t.server, t.database, (array_agg(t.id::text order by t.id))[1:1], 0
from ${list} t where t.database <> '' group by t.server, t.database having count(distinct t.id) > 1`,
  );
  const nameless = rows.reduce((sum, row) => sum + row.nameless, 0);
  if (nameless) {
    throw new MpmError('CENTRAL_INVALID', `the list of tenants has ${nameless} rows without an id`, {
      hint: 'Each tenant needs its own ID: fix the rows, or the query that lists them.',
    });
  }
  const first = (row: (typeof rows)[number]) => row.ids[0] ?? '';
  return {
    ids: new Set(rows.filter((row) => row.database === null).map(first)),
    databases: new Map(
      rows.flatMap((row) => (row.database === null ? [] : [[keyOf(row.server, row.database), first(row)]])),
    ),
  };
}

function keyOf(server: string, database: string): string {
  return `${server}\n${database}`;
}

function tenantOf({ id, name, database, reason, labels, plugins, ...row }: Row, clashes: Clashes): Tenant {
  const first = clashes.databases.get(keyOf(row.server, database ?? ''));
  const clash: TenantClash | undefined = clashes.ids.has(id)
    ? { kind: 'id' }
    : first !== undefined && first !== id
      ? { kind: 'database', with: first }
      : undefined;
  return {
    id,
    name,
    database: database ?? '',
    ...row,
    ...(reason === null ? {} : { reason }),
    labels: Object.fromEntries(Object.entries(labels ?? {}).map(([key, value]) => [key, String(value)])),
    ...(Array.isArray(plugins) && plugins.length
      ? { plugins: [...new Set(plugins.map(String))].sort() }
      : {}),
    ...(clash ? { clash } : {}),
  };
}

async function listed<R>(listing: Listing, values: unknown[], sql: (list: string) => string): Promise<R[]> {
  const text = sql(listingOf(listing.config.tenants));
  try {
    return await listing.connection.application.prepared<R>(text, values);
  } catch (error) {
    throw await listingError(error, listing);
  }
}

/** So many active tenants of a filter, spread over its ids and always the same ones; by their ids. */
export async function pickTenants(listing: Listing, filter: TenantFilter, most: number): Promise<string[]> {
  const values: unknown[] = [];
  const condition = conditionOf(await resolveFilter(listing, filter), values);
  const rows = await listing.connection.application
    .prepared<{ id: string }>(
      `select t.id::text as id from ${listingOf(listing.config.tenants)} t
where ${condition} and t.status = 'active' group by t.id order by ${PLACE}, t.id limit $${values.push(most)}`,
      values,
    )
    .catch(async (error: unknown) => {
      throw await listingError(error, listing);
    });
  return rows.map(({ id }) => id);
}
