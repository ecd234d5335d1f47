import { withCentral } from '../central/central.ts';
import { tenantProblem } from '../central/list/problem.ts';
import { copyTool } from '../central/tools.ts';
import { findTenant } from '../central/list/tenants.ts';
import type { Config } from '../config/define.ts';
import { MpmError } from '../errors.ts';
import { idWord } from '../shell-word.ts';
import type { ProvisionOptions, ProvisionReport } from './create/creation.ts';
import type { ConnectionCache } from './create/connections.ts';
import type { Original } from './in-use.ts';
import { TenantFolders } from './folders/own-folder.ts';
import { create, requireBuiltIn } from './create/provision.ts';

export interface CloneInput {
  name: string;
  database?: string;
  /** By default the original's. */
  labels?: Readonly<Record<string, string>>;
  id?: string;
  /** Ends the sessions of others in the original; without, they are an error. */
  disconnect?: boolean;
}

/**
 * Creates a tenant whose database is a copy of another one's, on the same server.
 * @throws MpmError UNKNOWN_TENANT, TENANT_STATUS, DATABASE_IN_USE, and as `provision`
 */
export async function clone(
  config: Config,
  wanted: string,
  { disconnect = false, ...input }: CloneInput,
  options: ProvisionOptions = {},
  idle?: ConnectionCache,
): Promise<ProvisionReport> {
  requireBuiltIn(config);
  const tenant = await withCentral(config, (central) => findTenant(central, wanted));
  const problem = tenantProblem(tenant, config);
  if (problem) throw problem;
  const { id, name, database, server, status, labels } = tenant;
  if (status === 'provisioning' || status === 'failed') {
    throw new MpmError('TENANT_STATUS', `${name} (${id}) is ${status}: there is nothing whole to copy`, {
      subject: name,
      hint: `mpm-migrate tenant create --resume ${idWord(id)}`,
    });
  }
  // Before anything is made: its folder is copied along.
  new TenantFolders(config).find(tenant);
  const original: Original = { id, name, server, database, disconnect };
  const report = await create(config, { labels, ...input, server }, options, { copyOf: original, idle });
  // Without it, nobody is told that the other tool goes on there: no reason to take the tenant back.
  await withCentral(config, (central) => copyTool(central, id, report.tenant.id)).catch(() => undefined);
  return report;
}
