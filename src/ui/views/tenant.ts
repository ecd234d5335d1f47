import type { TenantRef } from '../../fleet/report.ts';
import { bounded } from '../../text.ts';
import { oneLine } from '../format.ts';

/** A tenant as people know it. */
export function tenantName({ name, database, id }: TenantRef): string {
  return oneLine(bounded(name)) || oneLine(bounded(database)) || oneLine(id);
}

/** What to type after `--tenant`: the name where a shell takes it as it is, else the id. */
export function tenantWord(tenant: TenantRef): string {
  return /^[A-Za-z][\w.-]*$/.test(tenant.name) ? tenant.name : tenant.id;
}
