import type { Tenant } from '../../central/list/tenant.ts';
import { REFUSED } from '../../errors.ts';
import type { Inspection } from '../../engine/history/lost.ts';
import { compareNames, type Order } from '../../engine/source/name.ts';
import { remedyFor } from '../../engine/remedy.ts';
import type { MigrationState, StateEntry } from '../../engine/history/state.ts';
import { idWord } from '../../shell-word.ts';
import { refOf, reportFor, type TenantAttempt } from '../attempt.ts';
import { Groups } from './groups.ts';
import type { TenantRef } from './report.ts';
import type {
  HistoryEntry,
  StatusCohort,
  StatusCounts,
  StatusRow,
  StatusState,
  StatusMatrix,
} from './status-report.ts';
import { inactiveReason } from '../visit.ts';

const SHOWN = 5;
const FINE: ReadonlySet<MigrationState> = new Set([
  'applied',
  'baseline',
  'pending',
  'deferred',
  'future',
  'kept',
]);

/** What `status` found at one tenant. */
export interface TenantInspection {
  inspection: Inspection;
  /** By its stamp alone. */
  stamped?: boolean;
}

const HALF_DONE = ['failed', 'interrupted', 'running'] as const;

/** How a tenant stands whose history could be read. */
export function stateOf(tenant: Tenant, { plan }: Inspection): StatusState {
  if (inactiveReason(tenant) !== undefined) return 'inactive';
  return isDrifted(plan) ? 'drifted' : plan.pending.length ? 'pending' : 'current';
}

/** One tenant's line. */
export function rowOf(
  tenant: Tenant,
  { detail: found, lacksCore, error }: TenantAttempt<TenantInspection>,
  { ourRows }: { ourRows: boolean },
): StatusRow {
  const about = {
    tenant: refOf(tenant),
    status: tenant.status,
    ...(tenant.reason === undefined ? {} : { reason: tenant.reason }),
    ...(tenant.plugins ? { plugins: [...tenant.plugins] } : {}),
  };
  if (!found) {
    const nothing = { head: null, applied: 0, pending: 0 };
    // Of one that is not active it is expected that its database is not there, or not yet.
    if (inactiveReason(tenant) !== undefined || !error)
      return { ...about, state: 'inactive', ...nothing, ...(ourRows ? remediesOf(tenant) : {}) };
    const state = REFUSED.includes(error.code) ? 'drifted' : 'unreachable';
    return { ...about, state, ...nothing, error: reportFor(error, tenant) };
  }
  const { plan, count } = found.inspection;
  const drift = driftOf(plan);
  const remedies = plan.refusals.map(({ remedy }) => remedy.replaceAll('{tenant}', idWord(tenant.id)));
  return {
    ...about,
    state: stateOf(tenant, found.inspection),
    head: plan.head,
    // What stopped half-way has a row, and is not applied.
    applied: count - HALF_DONE.reduce((sum, each) => sum + (drift?.[each] ?? 0), 0),
    pending: plan.pending.length,
    ...(lacksCore === undefined ? {} : { lacksCore }),
    ...(drift && { drift }),
    ...(isDrifted(plan) ? { remedies } : ourRows ? remediesOf(tenant) : {}),
  };
}

/** What to type about a tenant whose status has its own way on. */
function remediesOf({ id, status }: Tenant): Pick<StatusRow, 'remedies'> {
  if (status === 'hold') return { remedies: [`mpm-migrate tenant release ${idWord(id)}`] };
  const half = status === 'provisioning' || status === 'failed';
  return half ? { remedies: [`mpm-migrate tenant create --resume ${idWord(id)}`] } : {};
}

/** Some migration is in a state that `up` refuses, or what is applied was applied in another order. */
function isDrifted(plan: Inspection['plan']): boolean {
  return driftOf(plan) !== undefined || plan.refusals.some(({ state }) => state === 'applied');
}

function driftOf({ entries, pending }: Inspection['plan']): StatusRow['drift'] {
  const counts: Partial<Record<MigrationState, number>> = {};
  // What the configuration says is applied late is no drift.
  const late = new Set(pending.map(({ name }) => name));
  for (const { name, state } of entries)
    if (!FINE.has(state) && !late.has(name)) counts[state] = (counts[state] ?? 0) + 1;
  return Object.keys(counts).length ? counts : undefined;
}

/** Counts rows, and gathers them by head; keeps five names of a cohort. */
export class Cohorts {
  readonly counts: StatusCounts = {
    total: 0,
    current: 0,
    pending: 0,
    drifted: 0,
    unreachable: 0,
    inactive: 0,
  };
  readonly #cohorts = new Map<string, StatusCohort>();

  add({ tenant, state, head, applied, pending, error }: StatusRow): void {
    this.counts.total += 1;
    this.counts[state] += 1;
    // Where it stands is not known.
    if (error || (state === 'inactive' && head === null && pending === 0)) return;
    const key = `${head}\n${applied}\n${pending}`;
    const cohort = this.#cohorts.get(key) ?? { head, applied, pending, count: 0, tenants: [] };
    cohort.count += 1;
    if (cohort.tenants.length < SHOWN) cohort.tenants.push(tenant);
    this.#cohorts.set(key, cohort);
  }

  /** The furthest first. */
  list(): StatusCohort[] {
    return [...this.#cohorts.values()].sort(
      (a, b) => a.pending - b.pending || b.applied - a.applied || b.count - a.count,
    );
  }
}

/** A tenant's whole history, with what is still to come. */
export function historyOf({ plan, rows = [] }: Inspection, tenant: Tenant): HistoryEntry[] {
  const byName = new Map(rows.map((row) => [row.name, row]));
  return plan.entries.map(({ name, state, migration }) => {
    const row = byName.get(name);
    const remedy = remedyFor(state, [name])?.replaceAll('{tenant}', idWord(tenant.id));
    const half = row?.state === 'failed' || row?.state === 'running';
    return {
      name,
      state,
      checksum: row?.checksum ?? migration?.checksum ?? null,
      source: row?.source ?? migration?.source ?? null,
      ...(migration?.plugin === undefined ? {} : { plugin: migration.plugin }),
      finishedAt: row?.finishedAt ?? null,
      durationMs: row?.durationMs ?? null,
      run: row?.runId ?? null,
      actor: row?.actor ?? row?.databaseUser ?? null,
      toolVersion: row?.toolVersion ?? null,
      ...(half && row.statements ? { statementsDone: row.statementsDone, statements: row.statements } : {}),
      ...(half && row.error ? { error: row.error } : {}),
      ...(remedy === undefined ? {} : { remedy }),
    };
  });
}

/** Gathers in which migrations tenants differ; memory grows with the ways to differ, not with the tenants. */
export class Matrix {
  readonly #groups = new Groups<ReadonlyMap<string, MigrationState>>();
  readonly #order: Order;

  constructor(order: Order) {
    this.#order = order;
  }

  add(tenant: TenantRef, entries: readonly StateEntry[]): void {
    const states = entries.map(({ name, state }) => [name, effective(state)] as const);
    this.#groups.add(tenant, states.join('\n'), () => new Map(states));
  }

  list(): StatusMatrix {
    const groups = this.#groups.list();
    const names = new Set(groups.flatMap(({ what }) => [...what.keys()]));
    const migrations = [...names]
      .filter((name) => groups.some(({ what }) => what.get(name) !== groups[0]?.what.get(name)))
      .sort((a, b) => compareNames(a, b, this.#order));
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
