import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type DatabaseTarget, withConnection } from '../../postgres/connect.ts';
import type { Connection } from '../../postgres/connection.ts';
import { literal } from '../../postgres/quote.ts';
import { type HistoryTable } from '../history/history.ts';
import { lockKeys } from '../history/lock-sql.ts';
import { type Holder, holdersBlocking } from './lock.ts';

/**
 * Does the work, a message with several migrations. Once the signal is aborted, the lock is waited for on another
 * connection: it is had when the migration in work commits, the next one of the message then cannot have it, and the
 * message ends there (fleet 6). When the work is over, so is the waiting: another runner may have been faster, and
 * one that builds an index concurrently would wait for the waiter's snapshot, and the waiter for its lock (engine 13).
 */
export async function haltable<T>(
  target: DatabaseTarget,
  history: HistoryTable,
  signal: AbortSignal | undefined,
  work: () => Promise<T>,
): Promise<T> {
  if (!signal) return work();
  const ours = { ...target, applicationName: `${target.applicationName}/halt` };
  let halting: Promise<Halt | undefined> | undefined;
  const onAbort = () => {
    // A server that takes no connection any more runs the message to its end: nothing worse happens.
    halting = halt(ours, history).catch(() => undefined);
  };
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await work();
  } finally {
    signal.removeEventListener('abort', onAbort);
    const begun = await halting;
    if (begun) await end(begun, ours);
  }
}

interface Halt {
  connection: Connection;
  /** Settles when the lock is had, or is not waited for any more. */
  waiting: Promise<'over'>;
}

async function halt(target: DatabaseTarget, history: HistoryTable): Promise<Halt> {
  const connection = await connect(target);
  const lock = `select pg_catalog.pg_advisory_xact_lock(${lockKeys(history).join(', ')})`;
  const over = () => 'over' as const;
  const waiting = connection
    .send(`begin;\nset local lock_timeout = 0;\nset local statement_timeout = 0;\n${lock}`)
    .then(over, over);
  return { connection, waiting };
}

/** ms until the waiting is cancelled, each time: a cancel may come before what it is to cancel. */
const PATIENCE = 100;
const MOST_CANCELS = 50;

/** A backend that waits for a lock does not notice that its client has gone: it is told to stop. */
async function end({ connection, waiting }: Halt, target: DatabaseTarget): Promise<void> {
  for (let left = MOST_CANCELS; left > 0; left -= 1) {
    if ((await Promise.race([waiting, sleep(PATIENCE)])) === 'over') break;
    await cancelStatements(target).catch(() => undefined);
  }
  await connection.close();
}

/**
 * Cancels what runs in that database under the target's application_name, and rolls it back with it (fleet 6). By
 * name, because behind a pooler the pid that we know is not the backend's. What is past its COMMIT is not undone.
 */
async function cancelStatements(target: DatabaseTarget): Promise<void> {
  const ours = { ...target, applicationName: `${target.applicationName}/cancel` };
  await withConnection(ours, (connection) =>
    connection.query(`select pg_catalog.pg_cancel_backend(pid) from pg_catalog.pg_stat_activity
where datname = pg_catalog.current_database() and application_name = ${literal(target.applicationName)} and state = 'active'`),
  );
}

/** Does the work, and cancels its statements once the signal is aborted. */
export function cancellable<T>(
  target: DatabaseTarget,
  signal: AbortSignal | undefined,
  work: () => Promise<T>,
): Promise<T> {
  return cancellableBy(signal, () => cancelStatements(target), work);
}

/** The same, where something else cancels what runs. */
export async function cancellableBy<T>(
  signal: AbortSignal | undefined,
  cancel: () => Promise<unknown>,
  work: () => Promise<T>,
): Promise<T> {
  if (!signal) return work();
  let cancelling: Promise<unknown> | undefined;
  const onAbort = () => {
    // A server that takes no connection any more lets the statement run to its end: nothing worse happens.
    cancelling = cancel().catch(() => undefined);
  };
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await work();
  } finally {
    signal.removeEventListener('abort', onAbort);
    await cancelling;
  }
}

/** Looks, from another connection, at who keeps ours waiting for a lock. */
interface Watch {
  /** Ends the watch; who was in the way when it last looked. */
  stop(): Promise<Holder[]>;
}

/**
 * Watches the backend that works under `target.applicationName`, beginning after half of `lockTimeout` ms: by the
 * time that lock_timeout strikes, the holder has been seen (engine 16). A migration that is done sooner costs nothing.
 */
export function watchLocks(target: DatabaseTarget, lockTimeout: number): Watch {
  if (lockTimeout <= 0) return { stop: async () => [] };
  let connection: Connection | undefined;
  let holders: Holder[] = [];
  let looking: Promise<void> | undefined;
  const look = async () => {
    try {
      connection ??= await connect({ ...target, applicationName: `${target.applicationName}/watch` });
      const [waiting] = await connection.query<{ pid: number }>(`select pid from pg_catalog.pg_stat_activity
where datname = pg_catalog.current_database() and application_name = ${literal(target.applicationName)} and wait_event_type = 'Lock'`);
      if (waiting) holders = await holdersBlocking(connection, waiting.pid);
    } catch {
      // Who is in the way is worth knowing, but no reason to fail: without a free connection the error stays shorter.
    }
  };
  const timer = setInterval(
    () => {
      looking ??= look().finally(() => (looking = undefined));
    },
    Math.max(20, lockTimeout / 2 - 20),
  );
  return {
    async stop() {
      clearInterval(timer);
      await looking;
      await connection?.close();
      connection = undefined;
      return holders;
    },
  };
}
