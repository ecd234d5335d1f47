import { type Listing, listingError, listingOf } from './listing.ts';
import type { Tenant } from './tenant.ts';

/** A tenant whose database has the same name, on a server of another name. */
export type Namesake = Pick<Tenant, 'id' | 'name' | 'server'>;

/** The tenants that have a database of this name on other servers. @throws MpmError CENTRAL_INVALID */
export async function findNamesakes(
  listing: Listing,
  { id = '', server, database }: Pick<Tenant, 'server' | 'database'> & { id?: string },
): Promise<Namesake[]> {
  try {
    return await listing.connection.application.prepared<Namesake>(
      `select t.id::text as id, coalesce(t.name, '') as name, t.server from ${listingOf(listing.config.tenants)} t
where t.database = $1 and t.server <> $2 and t.id::text <> $3 order by t.id`,
      [database, server, id],
    );
  } catch (error) {
    throw await listingError(error, listing);
  }
}
