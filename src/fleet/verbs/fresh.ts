import { withCentral } from '../../central/central.ts';
import { tenantProblem } from '../../central/list/problem.ts';
import type { Tenant } from '../../central/list/tenant.ts';
import type { Config } from '../../config/define.ts';
import { MpmError } from '../../errors.ts';
import { idWord } from '../../shell-word.ts';
import type { ProvisionOptions, ProvisionReport } from '../../tenants/create/creation.ts';
import { requireBuiltIn } from '../../tenants/create/provision.ts';
import { tenantSet } from '../../tenants/folders/folder.ts';
import { makeAnew, notActive } from '../../tenants/fresh.ts';
import { refOf } from '../attempt.ts';
import { readFleetFiles } from '../files.ts';
import type { TenantRef } from '../report/report.ts';
import { findSingle } from '../single.ts';
import { up } from './up.ts';

export interface FreshOptions extends ProvisionOptions {
  /** The name of the database that is to be destroyed; or who asks for it, and throws when it is not given. */
  confirm: string | ((tenant: TenantRef) => Promise<void>);
  /** End other sessions in it; without, they are an error. */
  disconnect?: boolean;
}

/**
 * Destroys one tenant's database and makes it again, migrated and empty.
 * @param wanted id, name or database
 * @throws MpmError before anything is destroyed: UNKNOWN_TENANT, USAGE, CONFIRMATION, TENANT_STATUS,
 *   DATABASE_IN_USE, BUSY, errors of files, WRONG_DATABASE for the central database; afterwards as
 *   `resumeProvision`, which goes on from there
 */
export async function fresh(
  config: Config,
  wanted: string,
  { confirm, ...options }: FreshOptions,
): Promise<ProvisionReport> {
  requireBuiltIn(config);
  const files = await readFleetFiles(config);
  const tenant = await withCentral(config, (central) => findSingle(central, wanted));
  const problem = tenantProblem(tenant, config);
  if (problem) throw problem;
  if (tenant.status !== 'active') throw notActive(tenant);
  await tenantSet(tenant, files.core, config, files.cache);
  if (typeof confirm === 'function') await confirm(refOf(tenant));
  else if (confirm !== tenant.database) {
    throw new MpmError('CONFIRMATION', `"${confirm}" is not the database of ${tenant.name || tenant.id}`, {
      subject: tenant.name || tenant.id,
      hint: `Its database is destroyed: confirm with its name, ${tenant.database}.`,
    });
  }
  const report = await makeAnew(config, tenant, options);
  return tenant.plugins ? withItsPlugins(config, tenant, report, options) : report;
}

/** A new database holds core alone. */
async function withItsPlugins(
  config: Config,
  { id, plugins = [] }: Tenant,
  made: ProvisionReport,
  { signal }: ProvisionOptions,
): Promise<ProvisionReport> {
  const { tenants, error } = await up(config, { tenants: [id] }, { signal });
  const [done] = tenants ?? [];
  const why = error ?? done?.error;
  const open = why || done?.pending.length;
  const notice = `its plugins (${plugins.join(', ')}) are not all applied${why ? `: ${why.message}` : ''}; go on with: mpm-migrate up --tenant ${idWord(id)}`;
  return {
    ...made,
    head: done?.to ?? made.head,
    applied: [...made.applied, ...(done?.applied ?? [])],
    notices: open ? [...made.notices, notice] : made.notices,
  };
}
