import { type DatabaseTarget, withConnection } from '../postgres/connect.ts';
import { literal } from '../postgres/quote.ts';

/**
 * Cancels what runs in that database under the target's application_name, and rolls it back with it (fleet 6). By
 * name, because behind a pooler the pid that we know is not the backend's. What is past its COMMIT is not undone.
 */
export async function cancelStatements(target: DatabaseTarget): Promise<void> {
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
