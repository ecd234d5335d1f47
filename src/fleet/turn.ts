import type { Connection } from '../postgres/connection.ts';

const last = new WeakMap<Connection, Promise<unknown>>();

/**
 * Does something with a connection when all that was asked for before is done: the list of tenants, the ledger
 * and the heartbeat share the one to the central database, and it takes one query at a time.
 */
export function inTurn<T>({ connection }: { connection: Connection }, act: () => Promise<T>): Promise<T> {
  const result = (last.get(connection) ?? Promise.resolve()).then(act);
  last.set(
    connection,
    result.catch(() => undefined),
  );
  return result;
}

/** A stream whose next page is read in turn. */
export async function* streamInTurn<T>(
  holder: { connection: Connection },
  stream: AsyncIterable<T>,
): AsyncGenerator<T> {
  const iterator = stream[Symbol.asyncIterator]();
  for (;;) {
    const { done, value } = await inTurn(holder, () => iterator.next());
    if (done) return;
    yield value;
  }
}
