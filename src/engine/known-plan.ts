import { fingerprintOf, type HistoryRow } from './history/state.ts';
import type { Migration } from './migration.ts';
import { isDeferred, makePlanAfter, NONE_RELEASED, type Plan, type PlanOptions, planUp } from './plan.ts';
import { upOf } from './source/checksum.ts';

/** What a list of migrations has been asked before, by what is released. */
const lists = new WeakMap<readonly Migration[], WeakMap<ReadonlySet<string>, KnownPlans>>();

interface KnownPlans {
  /** By how many are applied, and what is asked. */
  after: Map<string, Plan>;
  /** Histories that are not just the first of the list, by their fingerprints. */
  rows: Map<string, readonly HistoryRow[]>;
  /** By fingerprint, and what is asked. */
  of: Map<string, Plan>;
  /** Without those that are deferred; the list itself where none is. */
  undeferred: readonly Migration[];
}

/** So many different histories are remembered for a list. */
const MOST_HISTORIES = 200;

function knownPlans(migrations: readonly Migration[], options: PlanOptions): KnownPlans {
  const { released = NONE_RELEASED } = options;
  const byReleased = lists.get(migrations) ?? new WeakMap<ReadonlySet<string>, KnownPlans>();
  lists.set(migrations, byReleased);
  const isLeft = (migration: Migration): boolean => isDeferred(migration, { released });
  const known = byReleased.get(released) ?? {
    after: new Map<string, Plan>(),
    rows: new Map<string, readonly HistoryRow[]>(),
    of: new Map<string, Plan>(),
    undeferred: migrations.some(isLeft) ? migrations.filter((migration) => !isLeft(migration)) : migrations,
  };
  byReleased.set(released, known);
  return known;
}

function keyOf({ to, only, phase, force, outOfOrder, acceptChanged, order }: PlanOptions): string {
  return JSON.stringify([to, only, phase, force, outOfOrder, acceptChanged, order]);
}

/** {@link makePlanAfter}, made once: most databases of a fleet have one and the same plan. */
export function planAfter(migrations: readonly Migration[], count: number, options: PlanOptions = {}): Plan {
  const { after } = knownPlans(migrations, options);
  const key = `${count} ${options.only === undefined} ${options.phase ?? ''} ${options.to ?? ''}`;
  const plan = after.get(key) ?? makePlanAfter(migrations, count, options);
  after.set(key, plan);
  return plan;
}

/**
 * {@link planUp} for a history of which no more is known than what a stamp says: where it is the first of these
 * migrations, with or without those that are deferred, or was met before (see {@link remember}).
 */
export function planKnown(
  migrations: readonly Migration[],
  { count, fingerprint }: { count: number; fingerprint: string },
  options: PlanOptions = {},
): Plan | undefined {
  if (fingerprintOf(migrations, count) === fingerprint) return planAfter(migrations, count, options);
  const { rows, of, undeferred } = knownPlans(migrations, options);
  const key = `${fingerprint} ${keyOf(options)}`;
  const known = of.get(key);
  if (known) return known;
  const found =
    rows.get(fingerprint) ??
    (undeferred !== migrations && fingerprintOf(undeferred, count) === fingerprint
      ? undeferred.slice(0, count).map(settledRow)
      : undefined);
  if (!found) return undefined;
  const plan = planUp(migrations, found, options);
  of.set(key, plan);
  return plan;
}

/**
 * Remembers a history, for other databases whose stamp says the same: those with something out of order, or with what
 * others defer. Only one of which all is settled, and has its file: of the rest, a fingerprint says too little.
 */
export function remember(
  migrations: readonly Migration[],
  fingerprint: string,
  history: readonly HistoryRow[],
  options: PlanOptions = {},
): void {
  const { rows } = knownPlans(migrations, options);
  const byName = new Map(migrations.map((migration) => [migration.name, migration]));
  const isPlain = history.every(({ name, state, checksum }) => {
    const migration = byName.get(name);
    return (
      migration &&
      upOf(migration.checksum) === upOf(checksum) &&
      (state === 'applied' || state === 'baseline')
    );
  });
  if (isPlain && rows.size < MOST_HISTORIES) rows.set(fingerprint, history);
}

/** As far as a plan goes by it. */
export function settledRow({ name, version, checksum, source }: Migration, index: number): HistoryRow {
  return {
    position: index + 1,
    name,
    version,
    checksum,
    state: 'applied',
    statementsDone: 0,
    statements: null,
    statementHashes: null,
    statementBegun: null,
    backendPid: null,
    reverting: false,
    atWork: null,
    startedAt: '',
    finishedAt: null,
    durationMs: null,
    toolVersion: '',
    runId: null,
    databaseUser: '',
    actor: null,
    source,
    error: null,
  };
}
