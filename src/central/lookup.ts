import { isServerError } from '../postgres/sqlstate.ts';
import { type Listing, listingError, listingOf } from './listing.ts';
import type { Tenant, TenantClash } from './tenant.ts';

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
export function isNobodysId(error: unknown): boolean {
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
