import { MpmError } from '../../errors.ts';
import { type DatabaseTarget, withConnection } from '../../postgres/connect.ts';
import type { Connection } from '../../postgres/connection.ts';
import {
  type AttemptContext,
  attemptAtWork,
  type MigrateOptions,
  othersAtWork,
  refused,
  waitOf,
} from '../apply/attempt.ts';
import { BEGIN, enter, type MigrationContext, MOVED, setTimeouts } from '../apply/batch.ts';
import { Carrier } from '../apply/carrier.ts';
import { cancellable } from '../apply/interrupt.ts';
import { waitForLock } from '../apply/lock.ts';
import { type Attempt, emptyResult, failAttempt } from '../apply/migrate.ts';
import { outcomeOfEntry } from '../apply/outcomes.ts';
import { requireHistory } from '../history/lost.ts';
import { type DatabaseState, planFor, readState } from '../history/read.ts';
import { readEffects } from '../impact/effects-read.ts';
import { readRewrites } from '../impact/impact.ts';
import { requireStamp } from '../history/restamp.ts';
import type { Migration } from '../migration.ts';
import { foresee } from '../apply/up.ts';
import { isUntrusted, refuseUntrusted } from '../history/trust.ts';
import { HeldLock } from '../outside/held-lock.ts';
import { LASTING_NAMES, lastingOf } from './lasting.ts';
import { Observer, SELECT_TABLES, tablesFrom } from './observe.ts';
import { canWatch, NEVER_COMMIT } from './session.ts';
import { type RehearsedStep, rehearseStep } from './step.ts';
import { tooLarge, type Unrehearsed, whyNot } from './why-not.ts';
import { watchRehearsal } from './watch.ts';

export interface RehearseOptions extends MigrateOptions {
  /** ms for which others are kept from a table at most; 0: without limit. */
  lockLimit: number;
  /** A database in which a larger table (bytes) would be written anew is left alone. */
  maxSize: number;
  /** Run TypeScript migrations, too, which may act outside the database. */
  withModules: boolean;
}

/** What a rehearsal of one database came to. */
export interface Rehearsal {
  /** What went through, in order. */
  steps: RehearsedStep[];
  /** From which migration on nothing was rehearsed, and why; absent when all was, or one failed. */
  unrehearsed?: Unrehearsed;
  /** ms in which files were read, and nothing was done here. */
  reading: number;
}

export interface RehearsalAttempt extends Omit<Attempt, 'outcome'> {
  outcome: Attempt['outcome'] | 'rehearsed' | 'unrehearsed';
  rehearsal: Rehearsal;
}

/**
 * Runs what is pending in one transaction, which is rolled back. Nothing is written that stays: no row of the history,
 * no stamp. What would fail is in the result, not thrown.
 */
export async function attemptRehearsal(
  target: DatabaseTarget,
  set: { migrations: readonly Migration[] },
  options: RehearseOptions,
): Promise<RehearsalAttempt> {
  const work: AttemptContext = { target, options, result: emptyResult() };
  const rehearsal: Rehearsal = { steps: [], reading: 0 };
  try {
    const { leave = false } = options;
    const once = () =>
      withConnection(
        target,
        async (connection) => {
          while ((await rehearse(work, connection, set.migrations, options, rehearsal)) === 'again')
            rehearsal.steps = [];
        },
        { leave },
      );
    await cancellable(target, options.cancel, once);
  } catch (error) {
    return { ...failAttempt(work, error), rehearsal };
  }
  const { steps, unrehearsed } = rehearsal;
  const outcome = steps.length ? 'rehearsed' : unrehearsed ? 'unrehearsed' : 'current';
  return { ...work.result, outcome, rehearsal };
}

async function rehearse(
  work: AttemptContext,
  connection: Connection,
  migrations: readonly Migration[],
  options: RehearseOptions,
  rehearsal: Rehearsal,
): Promise<'finished' | 'again'> {
  const { result } = work;
  const found = (await foresee(work, connection, migrations)) ?? (await readState(connection, options));
  requireHistory(found, options);
  if ((await requireStamp(work, connection, found)) === 'again') return 'again';
  const plan = await planFor(connection, found, migrations, options);
  if (await attemptAtWork(work, connection, plan.rows)) return 'again';
  const { pending, head, notices, refusals } = plan;
  result.from = head;
  result.to = head;
  result.pending = pending.map(({ name }) => name);
  result.notices = [...notices];
  if (refusals.length) {
    if (await othersAtWork(work, connection, refusals, found)) return 'again';
    throw refused(refusals);
  }
  const [first] = pending;
  if (!first) return 'finished';
  const leaves = (index: number, reason: string): 'finished' => {
    const { name } = pending[index] ?? first;
    rehearsal.unrehearsed = { name, reason, count: pending.length - index };
    return 'finished';
  };
  // No lock is held while files are read.
  const reading = performance.now();
  const [early, , ...read] = await Promise.all([
    whyNot(first, options, new Set()),
    readEffects(pending),
    ...pending.map(({ up }) => (up.kind === 'sql' && up.options.transaction ? lastingOf(up) : undefined)),
  ]);
  rehearsal.reading += performance.now() - reading;
  if (early !== undefined) return leaves(0, early);
  const large = tooLarge(await readRewrites(connection, pending), options.maxSize);
  if (large !== undefined) return leaves(0, large);
  const runsOthers = options.withModules || read.some((each) => each?.runsOthers);
  const opened = await open(work, connection, found, { modules: options.modules, runsOthers });
  if (typeof opened === 'string') return 'again';
  try {
    const { names, pid, ...own } = opened;
    const { lockTimeout } = options.pace;
    const watch = watchRehearsal(work.target, { pid, limit: options.lockLimit, lockTimeout });
    try {
      let deferred: string | null = null;
      for (const [index, migration] of pending.entries()) {
        if (options.signal?.aborted) throw interrupted();
        const reason = await whyNot(migration, options, names);
        if (reason !== undefined) return leaves(index, reason);
        options.onMigration?.({
          name: migration.name,
          direction: 'up',
          index: index + 1,
          count: pending.length,
        });
        work.open = { names: [migration.name], direction: 'up', since: performance.now() };
        const { lockLimit } = options;
        const step = {
          ...own,
          watch,
          lockLimit,
          deferred,
          isFirst: index === 0,
          isLast: index === pending.length - 1,
        };
        const end = await rehearseStep(migration, step);
        work.open = undefined;
        if ('reason' in end) return leaves(index, end.reason);
        deferred = end.deferred;
        rehearsal.steps.push(end.step);
      }
      return 'finished';
    } finally {
      await watch.stop();
    }
  } finally {
    if (!connection.lost && connection.transaction !== 'idle') await connection.raw('rollback');
    connection.sessionChanged();
  }
}

interface Opened {
  context: MigrationContext;
  observer: Observer;
  pid: number;
  /** The server can tell that this process is gone. */
  watchesClient: boolean;
  /** What of the database does what doesn't roll back. */
  names: Set<string>;
}

/** Opens the transaction under the history's lock, with the history as it was read; waits while another runner has it. */
async function open(
  work: AttemptContext,
  connection: Connection,
  found: DatabaseState,
  { modules, runsOthers }: { modules: RehearseOptions['modules']; runsOthers: boolean },
): Promise<Opened | 'again'> {
  const { target, options } = work;
  const { history, pace, run, toolVersion, actor, admit } = options;
  const settings = await connection.settingsAround();
  const lock = new HeldLock(target, history, connection);
  const context: MigrationContext = {
    connection,
    target,
    history,
    applier: { run, toolVersion, actor },
    timeouts: pace,
    settings,
    lock,
    carrier: new Carrier(connection),
    admit,
    foreseen: work.foreseen === 'now',
    modules,
    notice: () => undefined,
  };
  const opening = [
    BEGIN,
    ...settings.opening,
    ...setTimeouts(pace, { transaction: true, statementTimeout: 0 }),
    lock.guard,
  ];
  try {
    if (found.bootstrapped) await enter(context, opening, found);
    else {
      await connection.raw(opening.join(';\n'));
      await admit?.();
    }
  } catch (error) {
    if (!connection.lost) await connection.raw('rollback');
    const outcome = error === MOVED ? 'moved' : outcomeOfEntry(error);
    if (outcome === undefined) {
      if (!isUntrusted(error)) throw error;
      await refuseUntrusted(connection, history);
    }
    if (outcome === 'locked') await waitForLock(connection, history, waitOf(options));
    return 'again';
  }
  const { results, copied } = await connection.raw(
    [NEVER_COMMIT, ...(runsOthers ? [LASTING_NAMES] : []), ...SELECT_TABLES].join(';\n'),
  );
  const rows = results.flatMap((each) => each.rows);
  const names = rows.flatMap((row) => (row['names'] as string[] | undefined) ?? []);
  const pid = Number(rows.find((row) => 'pid' in row)?.['pid']);
  const watchesClient = await canWatch(target, connection);
  return { context, watchesClient, observer: new Observer(tablesFrom(copied)), pid, names: new Set(names) };
}

function interrupted(): MpmError {
  return new MpmError('INTERRUPTED', 'interrupted before the next migration', {
    aftermath: 'nothing was changed here',
  });
}
