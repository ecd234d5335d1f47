import { connect, type DatabaseTarget } from '../postgres/connect.ts';
import type { Connection } from '../postgres/connection.ts';
import { type HistoryTable, lockKeys } from './history.ts';

/**
 * Does the work, a message with several migrations. Once the signal is aborted, the lock is waited for on another
 * connection: it is had when the migration in work commits, the next one of the message then cannot have it, and the
 * message ends there (fleet 6).
 */
export async function haltable<T>(
  target: DatabaseTarget,
  history: HistoryTable,
  signal: AbortSignal | undefined,
  work: () => Promise<T>,
): Promise<T> {
  if (!signal) return work();
  let halting: Promise<Connection | undefined> | undefined;
  const onAbort = () => {
    // A server that takes no connection any more runs the message to its end: nothing worse happens.
    halting = halt(target, history).catch(() => undefined);
  };
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    return await work();
  } finally {
    signal.removeEventListener('abort', onAbort);
    await (await halting)?.close();
  }
}

async function halt(target: DatabaseTarget, history: HistoryTable): Promise<Connection> {
  const connection = await connect({ ...target, applicationName: `${target.applicationName}/halt` });
  const lock = `select pg_catalog.pg_advisory_xact_lock(${lockKeys(history).join(', ')})`;
  void connection
    .send(`begin;\nset local lock_timeout = 0;\nset local statement_timeout = 0;\n${lock}`)
    .catch(() => undefined);
  return connection;
}
