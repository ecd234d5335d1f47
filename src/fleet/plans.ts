import type { Tenant } from '../central/tenant.ts';
import { type MpmError, REFUSED } from '../errors.ts';
import type { Migration } from '../migration/migration.ts';
import { compareNames } from '../migration/name.ts';
import type { Plan } from '../migration/plan.ts';
import { idWord } from '../shell-word.ts';
import { BehindCore } from './behind.ts';
import { failureKey } from './collect.ts';
import { type Group, Groups } from './groups.ts';
import type { PlanGroup, PlannedMigration, PlanOutcome, PlanReport } from './plan-report.ts';
import { hintForAll, hintTemplate } from './group-hint.ts';
import { refOf, reportFor } from './tried.ts';

/** What was found at one tenant. */
export type PlanLook =
  | { plan: Pick<Plan, 'pending' | 'refusals' | 'notices'>; lacksCore: number }
  | { error: MpmError }
  | { reason: string };

/** What a group of equal plans says. */
type Said = Omit<PlanGroup, 'count' | 'tenants' | 'pending'> & { pending: readonly Migration[] };

export function outcomeOf(look: PlanLook): PlanOutcome {
  if ('reason' in look) return 'skipped';
  if ('error' in look) return REFUSED.includes(look.error.code) ? 'refused' : 'unreachable';
  if (look.plan.refusals.length) return 'refused';
  return look.plan.pending.length ? 'pending' : 'current';
}

/** Gathers tenants by equal plans. */
export class Plans {
  readonly #groups = new Groups<Said>();
  readonly counts: PlanReport['counts'] = {
    total: 0,
    current: 0,
    pending: 0,
    refused: 0,
    skipped: 0,
    unreachable: 0,
  };
  readonly behind = new BehindCore();

  add(tenant: Tenant, look: PlanLook): void {
    const outcome = outcomeOf(look);
    this.counts.total += 1;
    this.counts[outcome] += 1;
    const ref = refOf(tenant);
    if ('lacksCore' in look && look.lacksCore > 0) this.behind.add(ref);
    const said = (more: Partial<Said>): Said => ({
      outcome,
      pending: [],
      refusals: [],
      notices: [],
      ...more,
    });
    if ('reason' in look) {
      this.#groups.add(ref, `skipped ${look.reason}`, () => said({ reason: look.reason }));
    } else if ('error' in look) {
      const error = reportFor(look.error, tenant);
      const { hint } = error;
      const whole = hint === undefined ? error : { ...error, hint: hintTemplate(hint, idWord(ref.id)) };
      this.#groups.add(ref, `${outcome} ${failureKey(error, ref)}`, () => said({ error: whole }));
    } else {
      const { pending, refusals, notices } = look.plan;
      const words = refusals.map(({ message }) => message);
      const lines = [
        outcome,
        ...pending.map(({ name, checksum }) => `${name} ${checksum}`),
        ...words,
        ...notices,
      ];
      this.#groups.add(ref, lines.join('\n'), () => said({ pending, notices, refusals }));
    }
  }

  /** What needs a look first, then the largest. */
  groups(): PlanGroup[] {
    const groups = this.#groups.list().map(({ what, count, tenants, ids }): PlanGroup => {
      const { pending, refusals, error, ...rest } = what;
      const group = { count, tenants, ids };
      return {
        ...rest,
        ...(error && { error: { ...error, ...(error.hint && { hint: forAll(error.hint, group) }) } }),
        count,
        tenants,
        pending: pending.map(({ name }) => name),
        refusals: refusals.map((refusal) => ({ ...refusal, remedy: forAll(refusal.remedy, group) })),
      };
    });
    return groups.sort((a, b) => ORDER.indexOf(a.outcome) - ORDER.indexOf(b.outcome));
  }

  /** Each migration that is pending in a group, once. */
  migrations({ sql }: { sql: boolean }): PlannedMigration[] {
    const planned = new Map<string, PlannedMigration>();
    for (const { what, count } of this.#groups.list()) {
      for (const migration of what.pending) {
        const key = `${migration.name} ${migration.checksum}`;
        const known = planned.get(key);
        if (known) known.tenants += count;
        else planned.set(key, plannedOf(migration, count, sql));
      }
    }
    return [...planned.values()].sort((a, b) => compareNames(a.name, b.name));
  }

  get notices(): string[] {
    const { others } = this.#groups;
    return others ? [`${others} more tenants, each with a plan of its own, are counted but not listed`] : [];
  }
}

const ORDER: PlanOutcome[] = ['pending', 'refused', 'unreachable', 'skipped', 'current'];

function plannedOf(migration: Migration, tenants: number, sql: boolean): PlannedMigration {
  const { name, checksum, source, path, up } = migration;
  return {
    name,
    checksum,
    source,
    path,
    kind: up.kind,
    transaction: up.options.transaction,
    tenants,
    ...(sql && up.kind === 'sql' ? { sql: up.sql } : {}),
  };
}

/** A remedy for all of a group. */
function forAll(
  template: string,
  { count, tenants: [only], ids }: Pick<Group<unknown>, 'count' | 'tenants' | 'ids'>,
): string {
  if (count === 1 && only) return template.replaceAll('{tenant}', idWord(only.id));
  return hintForAll(template, ids, { total: count, where: 'mpm-migrate status' });
}
