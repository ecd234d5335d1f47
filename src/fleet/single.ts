import { type Central, withCentral } from '../central/central.ts';
import type { Tenant } from '../central/list/tenant.ts';
import { findTenant } from '../central/list/tenants.ts';
import type { Config } from '../config/define.ts';
import { MpmError } from '../errors.ts';

/**
 * The one tenant that somebody means, by id, name or database.
 * @throws MpmError UNKNOWN_TENANT; USAGE when it is a range or an exclusion, or means several
 */
export async function findSingle(central: Central, wanted: string): Promise<Tenant> {
  if (/^-|^\d+\.\.\d+$/.test(wanted)) {
    throw new MpmError('USAGE', `--tenant ${wanted}: this command takes one tenant`, {
      hint: 'Use one ID, name, or database.',
    });
  }
  return findTenant(central, wanted);
}

export function lookUpSingle(config: Config, wanted: string): Promise<Tenant> {
  return withCentral(config, (central) => findSingle(central, wanted));
}
