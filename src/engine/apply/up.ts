import type { Connection } from '../../postgres/connection.ts';
import { fingerprintOf } from '../history/state.ts';
import { haltable } from './interrupt.ts';
import { FORMAT, insertBrought, unmarkEmptied } from '../history/history.ts';
import { waitForLock } from './lock.ts';
import { requireHistory } from '../history/lost.ts';
import { type Migration, runnable } from '../migration.ts';
import { applyOutside, halfReverted } from '../outside/outside.ts';
import { NotRecorded } from './carrier.ts';
import { planKnown } from '../known-plan.ts';
import type { Plan } from '../plan.ts';
import { bootstrap, type DatabaseState, planFor, readState } from '../history/read.ts';
import { openStamp, stampInputOf, refreshStamp, requireStamp, stampSql } from '../history/restamp.ts';
import { parseStamp, type Stamp, stampOf } from '../history/stamp.ts';
import { isOld, takeOver, takeOverInPassing } from '../history/takeover.ts';
import { type Application, applyInTransaction } from './transaction.ts';
import { type MigrationOutcome } from './outcomes.ts';
import type { MigrationContext } from './batch.ts';
import {
  attemptAtWork,
  othersAtWork,
  outsideOf,
  perform,
  refused,
  waitOf,
  type AttemptContext,
} from './attempt.ts';

/**
 * So many migrations at most travel in one message, and so much of SQL (characters), while the ones before took no
 * longer than that (ms each): slow ones are worth a message, and a progress, of their own.
 */
const MESSAGE = { most: 64, length: 256 * 1024, quick: 25 };

/** Brings one database up on an open connection. `again`: another runner moved the history on, it is read anew. */
export async function goUp(
  work: AttemptContext,
  connection: Connection,
  migrations: readonly Migration[],
): Promise<'finished' | 'again'> {
  const { options, result } = work;
  const found = (await foresee(work, connection, migrations)) ?? (await readState(connection, options));
  requireHistory(found, options);
  if ((await requireStamp(work, connection, found)) === 'again') return 'again';
  const plan = await planFor(connection, found, migrations, options);
  if (await attemptAtWork(work, connection, plan.rows)) return 'again';
  if (result.applied.length === 0) result.from = plan.head;
  result.to = plan.head;
  result.pending = plan.pending.map(({ name }) => name);
  // A plan is shared by all databases that stand alike, and what was noted before another look stays noted.
  result.notices = [...new Set([...result.notices, ...plan.notices])];
  if (plan.refusals.length) {
    if (await othersAtWork(work, connection, plan.refusals, found)) return 'again';
    throw refused(plan.refusals);
  }
  const old = isOld(found, plan.rows, migrations);
  const theirs = [connection, found, plan.rows ?? [], migrations, options] as const;
  if (plan.pending.length === 0) {
    if (old && (await takeOverInPassing(...theirs))) return 'again';
    await refreshStamp(work, connection, found);
    return 'finished';
  }
  if (!found.bootstrapped && (await bootstrap(connection, options.history, options.admit)) === 'locked') {
    await waitForLock(connection, options.history, waitOf(options));
    return 'again';
  }
  if (old) {
    await takeOver(...theirs);
    return 'again';
  }
  return applyAll(work, connection, found, plan, migrations);
}

/**
 * What a database behind its files holds, by its head stamp: what the plan is made from is compared under the lock
 * anyway, so that reading it first would be a round trip for nothing. Tried once: then the history is read.
 */
export async function foresee(
  work: AttemptContext,
  connection: Connection,
  migrations: readonly Migration[],
): Promise<DatabaseState | undefined> {
  const { options } = work;
  const before = work.foreseen;
  work.foreseen = 'once';
  if (before || options.stamp === false || options.only !== undefined || options.rider) return undefined;
  const { comment, owner } = (await options.stampInput?.(Infinity)) ?? { comment: null, owner: false };
  const stamp = owner ? parseStamp(comment) : undefined;
  const plan = stamp?.count ? planKnown(migrations, stamp, options) : undefined;
  if (!stamp || !plan) return undefined;
  const { pending, refusals } = plan;
  if (!pending[0]?.up.options.transaction || refusals.length) return undefined;
  work.foreseen = 'now';
  return {
    ...stamp,
    database: connection.database,
    last: stamp.count,
    format: FORMAT,
    central: false,
    bootstrapped: true,
    objects: [],
    emptied: false,
  };
}

async function applyAll(
  work: AttemptContext,
  connection: Connection,
  found: DatabaseState,
  plan: Plan,
  migrations: readonly Migration[],
): Promise<'finished' | 'again'> {
  const { pending } = plan;
  const { history } = work.options;
  const names = pending.map(({ name }) => name);
  const rows = new Map(plan.entries.flatMap(({ name, row }) => (row ? [[name, row]] : [])));
  // The batch stamps in its last transaction, so that the stamp never runs ahead (engine 30).
  const scripts = pending.map(runnable);
  const stampInput = await stampInputOf(work, connection);
  const stamp = stampSql(work, stampInput, stampAfterUp(found, plan, migrations), scripts);
  const reverted = pending.find(({ name }) => rows.get(name)?.reverting);
  if (reverted) throw halfReverted(reverted.name);
  const open = stampSql(work, stampInput, openStamp(work), scripts);
  const lastAfter = (done: number) =>
    pending
      .slice(0, done)
      .filter(({ name }) => !rows.has(name))
      .reduce((last, { replaces }) => last + (replaces?.length ?? 1), found.last);
  /** One of a message that begins with the migration at the index `first`. */
  const applicationOf = (migration: Migration, index: number, first: number): Application => {
    const last = lastAfter(index);
    const ends = index === pending.length - 1;
    const { fingerprint } = stampAfterUp(found, plan, migrations, index);
    const previous = pending[index - 1];
    return {
      migration,
      at: rows.get(migration.name) ?? lastAfter(index + 1),
      position: { last, fingerprint },
      before: index === 0 && found.count === 0 ? [unmarkEmptied(history), ...brought(migration)] : [],
      // In each message anew: another runner may have closed it in between.
      open: index === first ? open : undefined,
      after: ends && stamp ? [stamp] : [],
      follows: previous && !rows.has(previous.name) ? previous : undefined,
    };
  };
  /** The rows of what a snapshot stands for, but for its own. */
  const brought = ({ replaces = [] }: Migration): string[] => {
    const { run, toolVersion, actor } = work.options;
    return replaces.length > 1
      ? [insertBrought(history, replaces.slice(0, -1), { run, toolVersion, actor })]
      : [];
  };
  let most = 1;
  /** Those from an index on that are one message, or one migration outside a transaction. */
  const nextOf = (first: number) => fitting(pending.slice(first, first + most), rows);
  return perform(work, connection, 'up', names, {
    together: ([name = '']) => {
      const first = names.indexOf(name);
      if (!isOutside(pending[first])) return nextOf(first);
      // The record of its end travels with what comes next, up to one that an earlier attempt has left.
      const end = names.findIndex((each, index) => index > first && rows.has(each));
      return names.slice(first, end < 0 ? undefined : end);
    },
    finish: async (context, those, begin) => {
      const from = names.indexOf(those[0] ?? '');
      const settled: MigrationOutcome[] = [];
      for (let first = from; first < from + those.length;) {
        const next = nextOf(first);
        if (first > from && !begin(next[0] ?? '')) break;
        const batch = pending
          .slice(first, first + next.length)
          .map((migration, index) => applicationOf(migration, first + index, first));
        const since = performance.now();
        const whole = batch.length === 1 && first === pending.length - 1;
        if (!whole || isOutside(batch[0]?.migration)) work.opened = true;
        first += next.length;
        const ends = await applyNext(work, context, batch, { carries: first < from + those.length });
        settled.push(...ends);
        if (ends.some(({ outcome }) => outcome !== 'done')) break;
        for (const each of next) begin(each);
        const quick = performance.now() - since < MESSAGE.quick * batch.length;
        if (!isOutside(batch[0]?.migration)) most = quick ? Math.min(most * 4, MESSAGE.most) : 1;
      }
      return recorded(context, settled);
    },
  });
}

/** What became of the next ones, while the connection is there. */
async function applyNext(
  work: AttemptContext,
  context: MigrationContext,
  batch: readonly Application[],
  how: { carries: boolean },
): Promise<MigrationOutcome[]> {
  try {
    return await apply(work, context, batch, how);
  } catch (error) {
    if (context.connection.lost) throw error;
    const name = error instanceof NotRecorded ? error.migration : batch[0]?.migration.name;
    return [{ name: name ?? '', error: error instanceof NotRecorded ? error.cause : error }];
  }
}

/** What became of them once what is carried is recorded. */
async function recorded(
  { carrier }: MigrationContext,
  settled: readonly MigrationOutcome[],
): Promise<MigrationOutcome[]> {
  let outcomes = settled;
  try {
    await carrier.settle();
  } catch (error) {
    if (!(error instanceof NotRecorded)) throw error;
    outcomes = [...settled, { name: error.migration, error: error.cause }];
  }
  // One that could not be recorded was called done before.
  const last = outcomes.at(-1);
  const failed = last?.outcome === undefined ? outcomes.findIndex(({ name }) => name === last?.name) : -1;
  return failed < 0 || !last ? [...outcomes] : [...outcomes.slice(0, failed), last];
}

function isOutside(migration: Migration | undefined): boolean {
  return migration?.up.options.transaction === false;
}

async function apply(
  work: AttemptContext,
  context: MigrationContext,
  applications: readonly Application[],
  how: { carries: boolean },
): Promise<MigrationOutcome[]> {
  const { target, options } = work;
  const [first, second] = applications;
  if (second) {
    return haltable(target, options.history, options.signal, () => applyInTransaction(context, applications));
  }
  if (!first || first.migration.up.options.transaction) return applyInTransaction(context, applications);
  const since = performance.now();
  const outcome = await applyOutside(context, outsideOf(options), first, how);
  return [{ name: first.migration.name, outcome, durationMs: performance.now() - since }];
}

/** Those from the first on that can be one message: SQL in transactions like ours, at the positions that come next. */
function fitting(pending: readonly Migration[], rows: ReadonlyMap<string, unknown>): string[] {
  let length = 0;
  const end = pending.findIndex(({ name, up }) => {
    if (up.kind !== 'sql' || !up.options.transaction || up.mode !== undefined || rows.has(name)) return true;
    length += up.sql.length;
    return length > MESSAGE.length;
  });
  return pending.slice(0, end < 0 ? undefined : Math.max(1, end)).map(({ name }) => name);
}

const listsAfter = new WeakMap<Plan, readonly Migration[]>();

/** What such a history holds when all that is pending is applied, where something in between is left out. */
function listAfter(
  { count }: DatabaseState,
  plan: Plan,
  migrations: readonly Migration[],
): readonly Migration[] {
  const list = listsAfter.get(plan) ?? [...migrations.slice(0, count), ...plan.pending];
  listsAfter.set(plan, list);
  return list;
}

/** What the stamp will say when the first `done` of what is pending are applied. */
function stampAfterUp(
  found: DatabaseState,
  plan: Plan,
  migrations: readonly Migration[],
  done = plan.pending.length,
): Stamp {
  const { rows } = plan;
  const pending = plan.pending.slice(0, done);
  if (!rows && !pending.some(({ replaces }) => replaces)) {
    const count = found.count + pending.length;
    const isNext = done === 0 || migrations[count - 1] === pending.at(-1);
    return {
      count,
      fingerprint: fingerprintOf(isNext ? migrations : listAfter(found, plan, migrations), count) ?? '',
    };
  }
  const all = pending.flatMap((migration) => migration.replaces ?? [migration]);
  const coming = new Map(all.map((migration) => [migration.name, migration]));
  const kept = (rows ?? []).map((row) => {
    const again = coming.get(row.name);
    coming.delete(row.name);
    return again ? { name: row.name, checksum: again.checksum, state: 'applied' as const } : row;
  });
  return stampOf([
    ...kept,
    ...[...coming.values()].map(({ name, checksum }) => ({ name, checksum, state: 'applied' as const })),
  ]);
}
