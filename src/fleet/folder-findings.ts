import type { Tenant } from '../central/tenant.ts';
import type { Config } from '../config/define.ts';
import { asMpmError, type MpmError } from '../errors.ts';
import { TenantFolders } from '../tenant/own-folder.ts';
import { type Add, addEach, quoted } from './findings.ts';

/** Folders that stop their tenant, and those that are nobody's (fleet 39). */
export function judgeFolders(config: Config, tenants: readonly Tenant[], add: Add): void {
  const folders = new TenantFolders(config);
  if (folders.names.size === 0) return;
  const left = new Set(folders.names);
  const wrong: { id: string; error: MpmError }[] = [];
  for (const tenant of tenants) {
    try {
      const { own, claimable } = folders.look(tenant);
      const folder = own ?? claimable;
      if (folder) left.delete(folder.name);
      folders.find(tenant);
    } catch (error) {
      left.delete(tenant.database);
      wrong.push({ id: tenant.id, error: asMpmError(error) });
    }
  }
  addEach(
    wrong,
    ({ id }) => id,
    ({ error: { message, hint } }) => add('folders', 'error', message, hint),
    (count, ids) =>
      add('folders', 'error', `${count} more folders like that`, 'mpm-migrate sync --check', ids),
  );
  if (left.size === 0) return;
  const names = [...left].toSorted();
  const remedy = `Move them out of ${config.migrations.tenants}, or make one a tenant's: mpm-migrate sync --claim --tenant ID`;
  add('folders', 'warning', `no tenant's folders: ${quoted(names)}`, remedy, names);
}
