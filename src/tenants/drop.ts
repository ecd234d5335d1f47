import { type Central, withCentral } from '../central/central.ts';
import { BEING_DROPPED, changeStatus, removeTenant } from '../central/list/change.ts';
import { tenantProblem } from '../central/list/problem.ts';
import { readProvisioning } from '../central/list/provisioning.ts';
import type { Tenant } from '../central/list/tenant.ts';
import { findTenant } from '../central/list/tenants.ts';
import type { Config } from '../config/define.ts';
import { MpmError } from '../errors.ts';
import type { Connection } from '../postgres/connection.ts';
import { dropDatabase, findDatabases } from '../postgres/database.ts';
import { idWord } from '../shell-word.ts';
import { dropBuilding } from './create/build.ts';
import { change, type ChangeOptions, type TenantChange } from './change.ts';
import { refuseSessions } from './in-use.ts';
import { setFolderAside } from './folders/own-folder.ts';
import { requireBuiltIn } from './create/provision.ts';
import { refuseSharedDatabase } from './same-database.ts';
import { withServer } from './server.ts';

export interface DropOptions extends ChangeOptions {
  /** The tenant's name, as a consent. */
  confirm: string;
  /** Ends the sessions of others in its database; without, they are an error. */
  disconnect?: boolean;
}

/** The tenant that would be dropped. @throws MpmError USAGE, UNKNOWN_TENANT */
export function lookUp(config: Config, wanted: string): Promise<Tenant> {
  requireBuiltIn(config);
  return withCentral(config, (central) => findTenant(central, wanted));
}

/**
 * Drops a tenant's database and removes its rows. The row goes last and says what is being done: after a kill at
 * any moment the tenant is still listed, on hold, and the same call ends the work.
 * @throws MpmError CONFIRMATION, UNKNOWN_TENANT, DATABASE_IN_USE, DROP_FAILED, BUSY, CENTRAL_INVALID
 */
export async function drop(config: Config, wanted: string, options: DropOptions): Promise<TenantChange> {
  const act = async (central: Central, tenant: Tenant): Promise<string[]> => {
    if (options.confirm !== tenant.name) {
      throw new MpmError(
        'CONFIRMATION',
        `"${options.confirm}" is not the tenant's name, "${tenant.name}": nothing was done`,
        {
          subject: tenant.name,
          hint: 'Type its name exactly.',
        },
      );
    }
    // What tells nothing about a database has none to drop.
    if (!tenant.database) {
      await removeTenant(central, tenant, async () => undefined);
      return [];
    }
    const problem = tenantProblem(tenant, config);
    if (problem) throw problem;
    await refuseSharedDatabase(config, tenant, central);
    await withServer(config, tenant.server, (server) => dropBoth(central, server, tenant, options));
    return setFolderAside(tenant, config);
  };
  return change(config, wanted, 'dropped', act, options);
}

async function dropBoth(
  central: Central,
  server: Connection,
  tenant: Tenant,
  { disconnect = false }: DropOptions,
): Promise<void> {
  const row = await readProvisioning(central, tenant.id);
  const unfinished = tenant.status === 'provisioning' || tenant.status === 'failed';
  if (unfinished && row?.buildingAs) {
    // Of a creation that did not end, only what it made itself: the name may be somebody else's.
    const building = { database: row.database, buildingAs: row.buildingAs, oid: row.oid };
    return removeTenant(central, tenant, () => dropBuilding(server, building));
  }
  if (!disconnect) await refuseSessions(server, tenant.database);
  const { status } = tenant;
  const reason = `${BEING_DROPPED}: mpm-migrate tenant drop ${idWord(tenant.id)} ends it`;
  await changeStatus(central, tenant, { from: [status], to: 'hold', reason });
  try {
    await removeTenant(central, tenant, () => dropDatabase(server, tenant.database, { disconnect }));
  } catch (error) {
    if (server.lost || central.connection.lost) throw error;
    const [left] = await findDatabases(server, [tenant.database]);
    // Nothing was dropped: it is again what it was. What the server has begun to drop can only be dropped again.
    const back = { from: ['hold'], to: status, reason: tenant.reason ?? null };
    if (left?.valid) await changeStatus(central, tenant, back);
    throw error;
  }
}
