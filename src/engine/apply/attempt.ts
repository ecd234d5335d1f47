import { MpmError } from '../../errors.ts';
import type { Pace } from '../../pace.ts';
import type { DatabaseTarget } from '../../postgres/connect.ts';
import type { Connection } from '../../postgres/connection.ts';
import type { StampInput } from '../history/history.ts';
import { type DatabaseState, readState, type ReadOptions } from '../history/read.ts';
import type { HistoryRow } from '../history/state.ts';
import type { ModuleWatch } from '../module/module-process.ts';
import { HeldLock } from '../outside/held-lock.ts';
import type { OutsideOptions } from '../outside/outside.ts';
import type { Refusal } from '../remedy.ts';
import { Carrier } from './carrier.ts';
import { type Wait, waitForAttempt, waitForLock } from './lock.ts';
import type { MigrationOutcome } from './outcomes.ts';
import type { Admit, MigrationContext } from './batch.ts';

/** How one database is to be migrated. */
export interface MigrateOptions extends ReadOptions {
  pace: Pace;
  /** The run's number, or another word for who runs: for application_name and the history. */
  run: string;
  actor?: string | undefined;
  toolVersion: string;
  /** What to do about a statement of which nobody can know whether it was done. */
  resume?: OutsideOptions['resume'];
  /** Migrate a database that has objects but no history. */
  allowNonEmpty?: boolean;
  /** False: leave the head stamp alone, as for a second history in the same database. */
  stamp?: boolean;
  /** What the database's stamp is written with, if that is known without asking it; `maxAge`: since so many ms. */
  stampInput?: ((maxAge: number) => Promise<StampInput | undefined>) | undefined;
  /** Nobody copies or renames the database next: its connection's end is not waited for. */
  leave?: boolean;
  /**
   * Asked once the lock is had, before anything is written: rejects when this database is not to be touched, or not
   * any more. Its error is the attempt's.
   */
  admit?: Admit | undefined;
  /** Follows TypeScript migrations beyond their ends, as long as the run lasts. */
  modules?: ModuleWatch | undefined;
  /** Once aborted, no further migration is started. */
  signal?: AbortSignal | undefined;
  /** Once aborted, what runs is cancelled and rolls back. */
  cancel?: AbortSignal | undefined;
  onMigration?:
    ((step: { name: string; direction: 'up' | 'down'; index: number; count: number }) => void) | undefined;
  onWaiting?: ((reason: string) => void) | undefined;
}

/** What one attempt at one database came to. */
export interface Attempt {
  outcome: 'migrated' | 'reverted' | 'current' | 'refused' | 'failed' | 'busy';
  /** The last applied migration before and after. */
  from: string | null;
  to: string | null;
  applied: { name: string; direction: 'up' | 'down'; durationMs: number }[];
  pending: string[];
  notices: string[];
  error?: MpmError;
  /** Passes by itself: another attempt after a pause may succeed. */
  retryable: boolean;
}

/** One attempt at one database: what it is about, and what has come of it so far. */
export interface AttemptContext {
  target: DatabaseTarget;
  options: MigrateOptions;
  result: Attempt;
  /** The migrations whose outcome a lost connection leaves open, in their order. */
  open?: { names: readonly string[]; direction: 'up' | 'down'; since: number } | undefined;
  /** The head stamp may have been left open by it. */
  opened?: boolean;
  /** What the database itself said of its stamp, and when (ms). */
  asked?: { stampInput: StampInput; at: number };
  /** The word in the open stamp. */
  token?: string;
  /** Whether the plan is, or has been, made from the head stamp instead of the history. */
  foreseen?: 'now' | 'once';
}

/** How long these options wait for another runner. */
export function waitOf({ pace, signal, onWaiting }: MigrateOptions): Wait {
  return { lockWait: pace.lockWait, signal, onWaiting };
}

export function outsideOf({ pace, resume }: MigrateOptions): OutsideOptions {
  return { retries: pace.retries, resume };
}

/** How migrations are settled. */
interface Steps {
  /** Those of the names, from the first on, that are settled together. By default each by itself. */
  together?(names: readonly string[]): readonly string[];
  /**
   * Settles these: what became of them, up to the first that was not done.
   * @param begin to be called for each behind the first that does not travel with the one in front of it; false: it is not to
   *   be begun any more
   */
  finish(
    context: MigrationContext,
    names: readonly string[],
    begin: (name: string) => boolean,
  ): Promise<MigrationOutcome[]>;
}

/** Runs the steps through Umzug. `again`: another runner was at work here, and may have moved the history on. */
export async function perform(
  work: AttemptContext,
  connection: Connection,
  direction: 'up' | 'down',
  names: readonly string[],
  steps: Steps,
): Promise<'finished' | 'again'> {
  const { options } = work;
  const { run, toolVersion, actor, history, pace } = options;
  const lock = new HeldLock(work.target, history, connection);
  const context: MigrationContext = {
    connection,
    target: work.target,
    history,
    applier: { run, toolVersion, actor },
    timeouts: pace,
    settings: await connection.settingsAround(),
    lock,
    carrier: new Carrier(connection),
    admit: options.admit && admitUnder(lock, options.admit),
    foreseen: work.foreseen === 'now',
    modules: options.modules,
    notice: (text) => {
      if (!work.result.notices.includes(text)) work.result.notices.push(text);
    },
  };
  const moved = new Error('another runner changed the history');
  const settled = new Map<string, MigrationOutcome>();
  const told = new Set<string>();
  const tell = (name: string): void => {
    if (told.has(name)) return;
    told.add(name);
    options.onMigration?.({ name, direction, index: told.size, count: names.length });
  };
  const begin = (name: string): boolean => {
    if (options.signal?.aborted) return false;
    tell(name);
    return true;
  };
  try {
    await execute(direction, names, async (name) => {
      if (!settled.has(name) && options.signal?.aborted) throw interrupted();
      tell(name);
      const since = performance.now();
      const end = settled.get(name) ?? (await settleFrom(names.slice(names.indexOf(name)), since));
      if ('error' in end) {
        work.open = { names: [name], direction, since };
        if (end.error instanceof MpmError && end.error.code === 'MIGRATION_ESCAPED') work.opened = true;
        throw end.error;
      }
      if (end.outcome === 'done') {
        recordDone(work, name, direction, end.durationMs ?? performance.now() - since);
        return;
      }
      if (options.signal?.aborted) throw interrupted();
      if (end.outcome === 'locked') {
        await lock.close();
        await waitForLock(connection, history, waitOf(options));
      }
      throw moved;
    });
    return 'finished';
  } catch (error) {
    if (error === moved) return 'again';
    throw error;
  } finally {
    await lock.close();
  }

  async function settleFrom(next: readonly string[], since: number): Promise<MigrationOutcome> {
    const those = steps.together?.(next) ?? next.slice(0, 1);
    work.open = { names: those, direction, since };
    const ends = await steps.finish(context, those, begin);
    work.open = undefined;
    for (const end of ends) settled.set(end.name, end);
    const [first] = ends;
    if (!first) throw new Error(`${next[0]} was not settled`);
    return first;
  }
}

/** ms for which an answer holds while the lock is held all the time. */
const ADMITTED = 1000;

/** Asks whenever the lock was taken anew, and once a second while it is kept. */
function admitUnder(lock: HeldLock, admit: Admit): Admit {
  let asked = -Infinity;
  return async () => {
    const now = performance.now();
    if (lock.isHeld && asked >= lock.since && now - asked < ADMITTED) return;
    await admit();
    asked = now;
  };
}

export function recordDone(
  work: AttemptContext,
  name: string,
  direction: 'up' | 'down',
  durationMs: number,
): void {
  const { result } = work;
  result.applied.push({ name, direction, durationMs: Math.round(durationMs) });
  result.outcome = direction === 'up' ? 'migrated' : 'reverted';
  if (direction === 'up') {
    result.to = name;
    result.pending = result.pending.filter((pending) => pending !== name);
  }
}

/** An interrupted migration may be one that another runner is in the middle of: then its end is waited for. */
export async function othersAtWork(
  work: AttemptContext,
  connection: Connection,
  refusals: readonly Refusal[],
  found: DatabaseState,
): Promise<boolean> {
  if (!refusals.some(({ state }) => state === 'interrupted')) return false;
  let waited = false;
  const onWaiting = (reason: string) => {
    waited = true;
    work.options.onWaiting?.(reason);
  };
  await waitForLock(connection, work.options.history, { ...waitOf(work.options), onWaiting });
  if (waited) return true;
  // It may have ended between the look at the history and the look at the lock.
  const now = await readState(connection, work.options);
  return now.fingerprint !== found.fingerprint;
}

/** A migration outside a transaction may still be at work though its process is gone: then its end is waited for. */
export async function attemptAtWork(
  { options }: AttemptContext,
  connection: Connection,
  rows: readonly HistoryRow[] | undefined,
): Promise<boolean> {
  if (!rows?.some(({ atWork }) => atWork !== null)) return false;
  // While its process is there, it is the one to be named.
  await waitForLock(connection, options.history, waitOf(options));
  await waitForAttempt(connection, options.history, waitOf(options));
  return true;
}

export function refused(refusals: readonly Refusal[]): MpmError {
  return new MpmError('PLAN_REFUSED', refusals.map(({ message }) => message).join('; '), {
    aftermath: 'nothing was changed here',
    hint: refusals.map(({ remedy }) => remedy).join('\n'),
    ...(refusals[0]?.names[0] && { migration: refusals[0].names[0] }),
  });
}

function interrupted(): MpmError {
  return new MpmError('INTERRUPTED', 'interrupted before the next migration', {
    hint: 'Run the same command again to continue from here.',
  });
}

/**
 * Runs steps in order through Umzug. Each step does its whole work itself, history row included, so Umzug's own
 * record keeping only asserts that it was done: run-then-record would not be atomic (engine 3).
 */
export async function execute(
  direction: 'up' | 'down',
  names: readonly string[],
  step: (name: string) => Promise<void>,
): Promise<void> {
  // Loaded when there is something to do: most databases of most runs are current.
  const { MigrationError, Umzug } = await import('umzug');
  const done = new Set<string>();
  const run = async ({ name }: { name: string }) => {
    await step(name);
    done.add(name);
  };
  const assertDone = async ({ name }: { name: string }) => {
    if (!done.has(name)) throw new Error(`${name} was not recorded`);
  };
  // Umzug takes back in the reverse of its own order.
  const inOrder = direction === 'up' ? [...names] : [...names].reverse();
  const umzug = new Umzug({
    migrations: inOrder.map((name) => ({ name, up: run, down: run })),
    storage: {
      executed: async () => (direction === 'up' ? [] : inOrder),
      logMigration: assertDone,
      unlogMigration: assertDone,
    },
    logger: undefined,
  });
  try {
    await (direction === 'up' ? umzug.up() : umzug.down({ to: 0 }));
  } catch (error) {
    throw error instanceof MigrationError ? error.cause : error;
  }
}
