import type { Migration } from '../../engine/migration.ts';
import { compareNames, type Order } from '../../engine/source/name.ts';
import type { Plan } from '../../engine/plan.ts';
import { idWord } from '../../shell-word.ts';
import { failureKey } from './collect.ts';
import { type Group, Groups } from './groups.ts';
import type { PlanGroup, PlannedMigration, PlanOutcome, PlanReport } from './plan-report.ts';
import { hintForAll, hintTemplate } from './group-hint.ts';
import type { TenantResult } from './report.ts';

/** The part of a plan that is shown. */
export type ShownPlan = Pick<Plan, 'pending' | 'refusals' | 'notices'>;

/** What a group of equal plans says. */
type Said = Omit<PlanGroup, 'count' | 'tenants' | 'pending'> & { pending: readonly Migration[] };

/** Gathers tenants by equal plans. */
export class Plans {
  readonly #groups = new Groups<Said>();
  readonly #order: Order;
  readonly counts: PlanReport['counts'] = {
    total: 0,
    current: 0,
    pending: 0,
    refused: 0,
    skipped: 0,
    unreachable: 0,
  };

  constructor(order: Order) {
    this.#order = order;
  }

  add({ tenant, error, reason }: TenantResult, plan: ShownPlan | undefined, outcome: PlanOutcome): void {
    this.counts.total += 1;
    this.counts[outcome] += 1;
    const said = (more: Partial<Said>): Said => ({
      outcome,
      pending: [],
      refusals: [],
      notices: [],
      ...more,
    });
    if (plan) {
      const { pending, refusals, notices } = plan;
      const lines = [
        outcome,
        ...pending.map(({ name, checksum }) => `${name} ${checksum}`),
        ...refusals.map(({ message }) => message),
        ...notices,
      ];
      this.#groups.add(tenant, lines.join('\n'), () => said({ pending, notices, refusals }));
    } else if (error) {
      const { hint } = error;
      const whole = hint === undefined ? error : { ...error, hint: hintTemplate(hint, idWord(tenant.id)) };
      this.#groups.add(tenant, `${outcome} ${failureKey(error, tenant)}`, () => said({ error: whole }));
    } else {
      this.#groups.add(tenant, `skipped ${reason}`, () => said(reason === undefined ? {} : { reason }));
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
    return [...planned.values()].sort((a, b) => compareNames(a.name, b.name, this.#order));
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
    ...(up.kind === 'sql' && up.outsideFor !== undefined && { outsideFor: up.outsideFor }),
    ...(sql &&
      up.kind === 'sql' && {
        sql: up.mode === undefined ? up.sql : `set transaction ${up.mode};\n${up.sql}`,
      }),
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
