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

/** A stream of pages, each of which is read in turn; of each only what `sift` leaves. */
export async function* streamInTurn<T>(
  holder: { connection: Connection },
  pages: AsyncGenerator<readonly T[]>,
  sift?: (page: readonly T[]) => Promise<readonly T[]>,
): AsyncGenerator<T> {
  for (;;) {
    const { done, value } = await inTurn(holder, () => pages.next());
    if (done) return;
    yield* sift ? await sift(value) : value;
  }
}
