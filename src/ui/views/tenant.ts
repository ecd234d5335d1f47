import type { TenantRef } from '../../fleet/report.ts';
import { bounded } from '../../text.ts';
import { oneLine } from '../format.ts';

/** A tenant as people know it. */
export function tenantName({ name, database, id }: TenantRef): string {
  return oneLine(bounded(name)) || oneLine(bounded(database)) || oneLine(id);
}
