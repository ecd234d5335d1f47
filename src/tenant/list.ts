import { withCentral } from '../central/central.ts';
import type { Tenant } from '../central/tenant.ts';
import { streamTenants, type TenantFilter } from '../central/tenants.ts';
import type { Config } from '../config/define.ts';

/** The tenants of a filter, in the order of their ids. */
export async function listTenants(config: Config, filter: TenantFilter): Promise<Tenant[]> {
  return withCentral(config, async (central) => {
    const tenants: Tenant[] = [];
    for await (const tenant of streamTenants(central, filter)) tenants.push(tenant);
    return tenants;
  });
}
