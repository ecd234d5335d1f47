import { conditionOf, PLACE, type TenantFilter } from './filter.ts';
import { type Listing, listingError, listingOf } from './listing.ts';
import { resolveFilter } from './resolve.ts';

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
