import { type Central, reopen } from '../../central/central.ts';
import { MpmError } from '../../errors.ts';
import { endsSession } from '../../postgres/lease.ts';

const last = new WeakMap<Central, Promise<unknown>>();

/**
 * Does something with the central database when all that was asked of it before is done: the list of tenants, the
 * ledger and the heartbeat share one connection, which takes one query at a time. Where that is lost, `act` is done
 * again on another one: twice must be the same as once.
 */
export function serialize<T>(central: Central, act: () => Promise<T>): Promise<T> {
  const result = (last.get(central) ?? Promise.resolve()).then(() => insist(central, act));
  last.set(
    central,
    result.catch(() => undefined),
  );
  return result;
}

async function insist<T>(central: Central, act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    // The server's last word comes before the end of the connection.
    const ended = !(error instanceof MpmError) && endsSession(error);
    if (!central.connection.lost && !ended) throw error;
  }
  await reopen(central);
  return act();
}

/** What pages hold, each of which is read in turn; of each only what `sift` leaves. */
export async function* streamSerialized<T>(
  central: Central,
  next: () => Promise<readonly T[] | undefined>,
  sift?: (page: readonly T[]) => Promise<readonly T[]>,
): AsyncGenerator<T> {
  for (;;) {
    const page = await serialize(central, next);
    if (!page) return;
    yield* sift ? await sift(page) : page;
  }
}
