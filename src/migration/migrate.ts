import type { Pace } from '../config/define.ts';
import { asMpmError, MpmError } from '../errors.ts';
import { type Connection, type DatabaseTarget, withConnection } from '../postgres/connection.ts';
import { isTransient } from '../postgres/sqlstate.ts';
import { execute } from './execute.ts';
import { waitForLock } from './lock.ts';
import type { Migration } from './migration.ts';
import { applyOutside, type Outside, revertOutside } from './outside.ts';
import { type DownOptions, headOf, type Plan, planDown, type Refusal } from './plan.ts';
import {
  bootstrap,
  type Found,
  planFor,
  readRows,
  readStanding,
  type ReadOptions,
  refuseNonEmpty,
} from './read.ts';
import { applyInTransaction, type Bench, revertInTransaction, type UnitOutcome } from './transaction.ts';

/** How one database is to be migrated. */
export interface MigrateOptions extends ReadOptions {
  pace: Pace;
  /** The run's number, or another word for who runs: for application_name and the history. */
  run: string;
  actor?: string | undefined;
  toolVersion: string;
  /** Migrate a database that has objects but no history. */
  allowNonEmpty?: boolean;
  /** Past a pooler, for what runs outside a transaction. */
  directUrl?: string | undefined;
  /** Once aborted, no further migration is started. */
  signal?: AbortSignal | undefined;
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
interface Work {
  target: DatabaseTarget;
  options: MigrateOptions;
  result: Attempt;
  /** The migration whose outcome a lost connection leaves open. */
  open?: { name: string; direction: 'up' | 'down'; since: number } | undefined;
}

/** Applies what is pending, each migration in a transaction of its own. A failure is in the result, not thrown. */
export function attemptUp(
  target: DatabaseTarget,
  set: { migrations: readonly Migration[] },
  options: MigrateOptions,
): Promise<Attempt> {
  return attempt({ target, options, result: emptyResult() }, (work, connection) =>
    goUp(work, connection, set.migrations),
  );
}

/** Takes back what was applied last, each migration in a transaction of its own. A failure is in the result. */
export function attemptDown(
  target: DatabaseTarget,
  set: { migrations: readonly Migration[] },
  options: MigrateOptions & DownOptions,
): Promise<Attempt> {
  const { to, steps, force } = options;
  const depth: DownOptions = {
    ...(to !== undefined && { to }),
    ...(steps !== undefined && { steps }),
    ...(force && { force }),
  };
  // What was taken back in this attempt counts against the steps when another runner makes it plan again.
  return attempt({ target, options, result: emptyResult() }, (work, connection) => {
    const left = depth.to === undefined ? (depth.steps ?? 1) - work.result.applied.length : undefined;
    return goDown(work, connection, set.migrations, left === undefined ? depth : { ...depth, steps: left });
  });
}

function emptyResult(): Attempt {
  return {
    outcome: 'current',
    from: null,
    to: null,
    applied: [],
    pending: [],
    notices: [],
    retryable: false,
  };
}

/** `again`: another runner has moved the history on; it is read anew. */
type Go = (work: Work, connection: Connection) => Promise<'finished' | 'again'>;

async function attempt(work: Work, go: Go): Promise<Attempt> {
  const { result } = work;
  try {
    for (;;) {
      const lost = await onConnection(work, go);
      if (!lost) break;
      await settle(work, lost);
    }
  } catch (error) {
    const known = asMpmError(error);
    result.error = known;
    result.outcome =
      known.code === 'PLAN_REFUSED' || known.code === 'NOT_EMPTY'
        ? 'refused'
        : known.code === 'BUSY'
          ? 'busy'
          : 'failed';
    result.retryable = isTransient(known.cause ?? known);
  }
  return result;
}

/** Works on one connection to the end; returns the error when the connection broke inside a migration. */
async function onConnection(work: Work, go: Go): Promise<MpmError | undefined> {
  return withConnection(work.target, async (connection) => {
    try {
      while ((await go(work, connection)) === 'again');
      return undefined;
    } catch (error) {
      if (work.open && connection.lost) return asMpmError(error);
      throw error;
    }
  });
}

/**
 * A connection that broke while a migration ran leaves open whether it was committed, and perhaps a backend that
 * is still at work: once the lock is free, the history tells (engine 18). Throws `lost` when it was rolled back.
 */
async function settle(work: Work, lost: MpmError): Promise<void> {
  const { open, options } = work;
  if (!open) throw lost;
  const rows = await withConnection(work.target, async (connection) => {
    await waitForLock(connection, options.history, options.pace.lockWait, options.onWaiting);
    return readRows(connection, options.history);
  }).catch((error: unknown) => {
    throw new MpmError('COMMIT_UNKNOWN', `${lost.message}; and then: ${asMpmError(error).message}`, {
      cause: lost.cause,
      migration: open.name,
      aftermath: `whether ${open.name} was committed is not known`,
      hint: 'Run the same command again: the history in the database decides, nothing is applied twice.',
    });
  });
  const row = rows.find(({ name }) => name === open.name);
  const happened = open.direction === 'up' ? row?.state === 'applied' : row === undefined;
  if (!happened) {
    const kept = row !== undefined && open.direction === 'up';
    throw lost.with({
      aftermath: kept
        ? `it stopped at statement ${row.statementsDone + 1} of ${row.statements}`
        : 'the migration was rolled back',
    });
  }
  recordDone(work, open.name, open.direction, open.since);
}

async function goUp(
  work: Work,
  connection: Connection,
  migrations: readonly Migration[],
): Promise<'finished' | 'again'> {
  const { options, result } = work;
  const found = await readStanding(connection, options);
  if (!found.bootstrapped && found.objects.length && !options.allowNonEmpty) throw refuseNonEmpty(found);
  const plan = await planFor(connection, found, migrations, options);
  if (result.applied.length === 0) result.from = plan.head;
  result.to = plan.head;
  result.pending = plan.pending.map(({ name }) => name);
  result.notices = plan.notices;
  if (plan.refusals.length) {
    if (await othersAtWork(work, connection, plan.refusals)) return 'again';
    throw refused(plan.refusals);
  }
  if (plan.pending.length === 0) return 'finished';
  if (!found.bootstrapped && (await bootstrap(connection, options.history)) === 'locked') {
    await waitForLock(connection, options.history, options.pace.lockWait, options.onWaiting);
    return 'again';
  }
  return applyAll(work, connection, found, plan);
}

async function applyAll(
  work: Work,
  connection: Connection,
  found: Found,
  plan: Plan,
): Promise<'finished' | 'again'> {
  const byName = new Map(plan.pending.map((migration) => [migration.name, migration]));
  const rows = new Map(plan.entries.flatMap(({ name, row }) => (row ? [[name, row]] : [])));
  let position = found.last;
  return perform(work, connection, 'up', [...byName.keys()], async (bench, name) => {
    const migration = byName.get(name);
    if (!migration) throw new Error(`${name} is not in the plan`);
    const leftover = rows.get(name);
    const at = leftover ?? position + 1;
    const outcome = migration.up.options.transaction
      ? await applyInTransaction(bench, migration, at)
      : await applyOutside(bench, outsideOf(work), migration, at);
    if (outcome === 'done' && !leftover) position += 1;
    return outcome;
  });
}

async function goDown(
  work: Work,
  connection: Connection,
  migrations: readonly Migration[],
  depth: DownOptions,
): Promise<'finished' | 'again'> {
  const { options, result } = work;
  const found = await readStanding(connection, options);
  const plan = planDown(
    migrations,
    found.bootstrapped ? await readRows(connection, options.history) : [],
    depth,
  );
  if (result.applied.length === 0) result.from = plan.head;
  result.to = plan.head;
  if (plan.refusals.length) {
    if (await othersAtWork(work, connection, plan.refusals)) return 'again';
    throw refused(plan.refusals);
  }
  if (plan.steps.length === 0) return 'finished';
  const byName = new Map(plan.steps.map((step) => [step.row.name, step]));
  return perform(work, connection, 'down', [...byName.keys()], async (bench, name) => {
    const step = byName.get(name);
    const script = step?.migration.down;
    if (!step || !script) throw new Error(`${name} is not in the plan`);
    const outcome = script.options.transaction
      ? await revertInTransaction(bench, script, step.row)
      : await revertOutside(bench, outsideOf(work), step.migration, script, step.row);
    if (outcome === 'done')
      result.to = headOf(plan.rows.filter(({ position }) => position < step.row.position));
    return outcome;
  });
}

function outsideOf({ target, options }: Work): Outside {
  return { target, directUrl: options.directUrl, retries: options.pace.retries };
}

/** Runs the steps through Umzug; each waits for the lock when another runner has it. */
async function perform(
  work: Work,
  connection: Connection,
  direction: 'up' | 'down',
  names: readonly string[],
  step: (bench: Bench, name: string) => Promise<UnitOutcome>,
): Promise<'finished' | 'again'> {
  const { options } = work;
  const { run, toolVersion, actor, history, pace } = options;
  const bench: Bench = { connection, history, applier: { run, toolVersion, actor }, timeouts: pace };
  const moved = new Error('the history was moved on by another runner');
  let index = 0;
  try {
    await execute(direction, names, async (name) => {
      if (options.signal?.aborted) throw interrupted();
      index += 1;
      options.onMigration?.({ name, direction, index, count: names.length });
      const since = performance.now();
      work.open = { name, direction, since };
      for (;;) {
        const outcome = await step(bench, name);
        if (outcome === 'done') break;
        work.open = undefined;
        if (outcome === 'moved') throw moved;
        await waitForLock(connection, history, pace.lockWait, options.onWaiting);
        work.open = { name, direction, since };
      }
      recordDone(work, name, direction, since);
    });
    return 'finished';
  } catch (error) {
    if (error === moved) return 'again';
    throw error;
  }
}

function recordDone(work: Work, name: string, direction: 'up' | 'down', since: number): void {
  const { result } = work;
  work.open = undefined;
  result.applied.push({ name, direction, durationMs: Math.round(performance.now() - since) });
  result.outcome = direction === 'up' ? 'migrated' : 'reverted';
  if (direction === 'up') {
    result.to = name;
    result.pending = result.pending.filter((pending) => pending !== name);
  }
}

/** An interrupted migration may be one that another runner is in the middle of: then its end is waited for. */
async function othersAtWork(
  work: Work,
  connection: Connection,
  refusals: readonly Refusal[],
): Promise<boolean> {
  if (!refusals.some(({ state }) => state === 'interrupted')) return false;
  const { history, pace } = work.options;
  let waited = false;
  await waitForLock(connection, history, pace.lockWait, (reason) => {
    waited = true;
    work.options.onWaiting?.(reason);
  });
  return waited;
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
    hint: 'Run the same command again: it goes on from here.',
  });
}
