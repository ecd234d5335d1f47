import { createHash } from 'node:crypto';
import { compareIds, type TenantRef } from './report.ts';

/** So many groups are told apart; what comes after is only counted. */
const MOST_GROUPS = 100;
const SHOWN = 5;
const NAMED = 1000;

/** Tenants that are alike. */
export interface Group<T> {
  what: T;
  count: number;
  /** The first five. */
  tenants: TenantRef[];
  /** The first thousand, for a command that names them. */
  ids: string[];
}

/** Gathers tenants that are alike; memory does not grow with the fleet: a group keeps a count, five names and a thousand ids. */
export class Groups<T> {
  readonly #groups = new Map<string, Group<T>>();
  /** Tenants in no group, because there were too many different ones. */
  others = 0;

  add(tenant: TenantRef, key: string, what: () => T): void {
    const hash = createHash('sha1').update(key).digest('base64');
    let group = this.#groups.get(hash);
    if (!group) {
      if (this.#groups.size >= MOST_GROUPS) {
        this.others += 1;
        return;
      }
      group = { what: what(), count: 0, tenants: [], ids: [] };
      this.#groups.set(hash, group);
    }
    group.count += 1;
    if (group.tenants.length < SHOWN) group.tenants.push(tenant);
    if (group.ids.length < NAMED) group.ids.push(tenant.id);
  }

  /** The largest first. */
  list(): Group<T>[] {
    for (const { tenants, ids } of this.#groups.values()) {
      tenants.sort((a, b) => compareIds(a.id, b.id));
      ids.sort(compareIds);
    }
    const first = ({ tenants }: Group<T>) => tenants[0]?.id ?? '';
    return [...this.#groups.values()].sort((a, b) => b.count - a.count || compareIds(first(a), first(b)));
  }
}
