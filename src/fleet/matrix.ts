import type { MigrationState, StateEntry } from '../migration/state.ts';
import { compareNames } from '../migration/name.ts';
import { Groups } from './groups.ts';
import type { TenantRef } from './report.ts';
import type { StatusMatrix } from './status-report.ts';

/** Gathers in which migrations tenants differ; memory grows with the ways to differ, not with the tenants. */
export class Matrix {
  readonly #groups = new Groups<ReadonlyMap<string, MigrationState>>();

  add(tenant: TenantRef, entries: readonly StateEntry[]): void {
    const states = entries.map(({ name, state }) => [name, effective(state)] as const);
    this.#groups.add(tenant, states.join('\n'), () => new Map(states));
  }

  list(): StatusMatrix {
    const groups = this.#groups.list();
    const names = new Set(groups.flatMap(({ what }) => [...what.keys()]));
    const migrations = [...names]
      .filter((name) => groups.some(({ what }) => what.get(name) !== groups[0]?.what.get(name)))
      .sort(compareNames);
    return {
      migrations,
      groups: groups.map(({ what, count, tenants }) => ({
        count,
        tenants,
        states: migrations.map((name) => what.get(name) ?? null),
      })),
      others: this.#groups.others,
    };
  }
}

/** How a migration came to be applied makes no difference between two tenants. */
function effective(state: MigrationState): MigrationState {
  return state === 'baseline' ? 'applied' : state;
}
