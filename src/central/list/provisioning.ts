import type { Connection } from '../../postgres/connection.ts';
import { literal } from '../../postgres/quote.ts';
import { isServerError } from '../../postgres/sqlstate.ts';
import { type Listing, listingError, listingOf } from './listing.ts';
import type { Tenant, TenantClash } from './tenant.ts';

/** What comes next in a creation, or is in work: `database`, then `migrations`. */
export type ProvisionStep = 'database' | 'migrations';

/** Where a creation stands. */
export interface Provisioning {
  id: string;
  name: string;
  database: string;
  server: string;
  status: string;
  step: ProvisionStep | null;
  buildingAs: string | null;
  /** Of the database that we made, or to which it was moved; null while there is none, and where 0.1.0 made it. */
  oid: string | null;
}

/**
 * Where the creation of a tenant stands; undefined when there is no such tenant.
 * @param options.settled wait until nobody is changing the row: not even a statement of ours whose answer was lost
 */
export async function readProvisioning(
  { connection }: Listing,
  id: string,
  { settled = false }: { settled?: boolean } = {},
): Promise<Provisioning | undefined> {
  const rows = await connection.application
    .prepared<Provisioning>(
      `select c.id::text as id, c.name, d.database_name as database, d.server, d.status, d.provision_step as step,
  d.building_as as "buildingAs", d.database_oid::text as oid
from public.companies c join public.company_databases d on d.company_id = c.id where c.id = $1${settled ? ' for update of d' : ''}`,
      [id],
    )
    .catch((error: unknown) => {
      if (isNobodysId(error)) return [];
      throw error;
    });
  return rows[0];
}

/** The names under which databases are made, by the ids of the tenants whose creations have not ended. */
export async function readBuildingNames({ connection }: Listing): Promise<Map<string, string>> {
  const rows = await connection.application.query<{ id: string; name: string }>(
    'select company_id::text as id, building_as as name from public.company_databases where building_as is not null',
  );
  return new Map(rows.map(({ id, name }) => [id, name]));
}

/** Writes down what is about to be done, or how far it has come. */
export async function markStep(
  { connection }: Listing,
  id: string,
  {
    step,
    buildingAs,
    oid,
    reason,
  }: Pick<Provisioning, 'buildingAs' | 'oid'> & { step: ProvisionStep; reason: string },
): Promise<void> {
  await setRow(connection, id, {
    status: 'provisioning',
    reason,
    provision_step: step,
    building_as: buildingAs,
    database_oid: oid,
  });
}

/**
 * Puts an active tenant back to the beginning of its creation, before its database is dropped. With the oid of that
 * database a creation that goes on knows it for its own.
 * @returns false when the tenant is not active, or not at this place any more
 */
export async function beginAgain(
  { connection }: Listing,
  { id, server, database }: { id: string; server: string; database: string },
  oid: string,
): Promise<boolean> {
  const rows = await connection.application.prepared(
    `with gone as (delete from mpm_migrate.tool_histories where tenant_id = $1::text)
update public.company_databases set status = 'provisioning', reason = 'fresh: its database is made again',
  provision_step = 'database', building_as = null, database_oid = $2, updated_at = now()
where company_id = $1 and coalesce(status::text, 'active') = 'active' and coalesce(server::text, 'default') = $3 and database_name = $4
returning company_id`,
    [id, oid, server, database],
  );
  return rows.length > 0;
}

export async function markFailed({ connection }: Listing, id: string, reason: string): Promise<void> {
  await setRow(connection, id, { status: 'failed', reason });
}

/** @returns false when the tenant is not one that is being created, any more */
export async function markActive({ connection }: Listing, id: string): Promise<boolean> {
  // The oid stays: by it a database is known that was renamed.
  const nothing = { reason: null, provision_step: null, building_as: null };
  return setRow(connection, id, { status: 'active', ...nothing });
}

/** Only a row that is being created is changed: nobody's hold is undone by a creation that comes late. */
async function setRow(
  connection: Connection,
  id: string,
  columns: Record<string, string | null>,
): Promise<boolean> {
  const sets = Object.entries(columns).map(([column, value]) => `${column} = ${literal(value)}`);
  const rows = await connection.application.query(
    `update public.company_databases set ${sets.join(', ')}, updated_at = now()
where company_id = ${literal(id)} and status in ('provisioning', 'failed') returning company_id`,
  );
  return rows.length > 0;
}

/**
 * Takes a tenant out again that was entered by a creation which is undone.
 * @returns false when there is no such row, or it is not being created any more
 */
export async function unregisterTenant({ connection }: Listing, id: string): Promise<boolean> {
  const rows = await connection.application.query(
    `with gone as (delete from public.company_databases where company_id = ${literal(id)}
  and status in ('provisioning', 'failed') returning company_id)
delete from public.companies where id in (select company_id from gone) returning id`,
  );
  return rows.length > 0;
}

interface Row extends Omit<Tenant, 'database' | 'reason' | 'clash' | 'plugins'> {
  database: string | null;
  reason: string | null;
  /** An earlier tenant with the same database. */
  first: string | null;
}

/**
 * The tenant with this id, undefined when there is none: one short query, where `findTenant` reads the whole list.
 * @throws MpmError CENTRAL_INVALID
 */
export async function lookUpTenant(listing: Listing, id: string): Promise<Tenant | undefined> {
  const list = listingOf(listing.config.tenants);
  try {
    const rows = await listing.connection.application.prepared<Row>(
      `select t.id::text as id, coalesce(t.name, '') as name, t.database, t.server, t.status, t.reason, t.labels,
  (select min(o.id::text) from ${list} o where o.database = t.database and o.server = t.server and o.id < t.id) as first
from ${list} t where t.id = $1 limit 2`,
      [id],
    );
    return tenantOf(rows);
  } catch (error) {
    if (isNobodysId(error)) return undefined;
    throw await listingError(error, listing);
  }
}

/** A word that cannot be an id of the list's type is nobody's id. */
function isNobodysId(error: unknown): boolean {
  return isServerError(error) && NO_VALUE.includes(error.code);
}

/** 22P02 is not of the form, 22003 out of range, 22021 and 22P05 not a text of this server. */
const NO_VALUE = ['22P02', '22003', '22021', '22P05'];

function tenantOf([row, again]: Row[]): Tenant | undefined {
  if (!row) return undefined;
  const { first, database, reason, labels, ...rest } = row;
  const clash: TenantClash | undefined = again
    ? { kind: 'id' }
    : first === null
      ? undefined
      : { kind: 'database', with: first };
  return {
    ...rest,
    database: database ?? '',
    ...(reason === null ? {} : { reason }),
    labels: Object.fromEntries(Object.entries(labels).map(([key, value]) => [key, String(value)])),
    ...(clash ? { clash } : {}),
  };
}
