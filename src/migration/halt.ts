import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type DatabaseTarget } from '../postgres/connect.ts';
import type { Connection } from '../postgres/connection.ts';
import { cancelStatements } from './cancel.ts';
import { type HistoryTable, lockKeys } from './history.ts';

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
