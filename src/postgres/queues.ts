import type { Lease } from './lease.ts';
import type { Place } from './slots.ts';

/** Somebody who waits for a connection. */
export interface Waiter {
  readonly place: Place;
  readonly since: number;
  /** A connection is being opened because of it. */
  opening: boolean;
  /** Ends the waiting; afterwards nothing happens. */
  settle(outcome: Lease | Error): void;
}

/** Who waits, by database, each in the order of arrival. */
export class Queues {
  readonly #queues = new Map<string, Set<Waiter>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  add(waiter: Waiter): void {
    const { key } = waiter.place;
    const queue = this.#queues.get(key);
    if (queue) queue.add(waiter);
    else this.#queues.set(key, new Set([waiter]));
    this.#size += 1;
  }

  /** @returns whether it was there */
  delete(waiter: Waiter): boolean {
    const { key } = waiter.place;
    const queue = this.#queues.get(key);
    if (!queue?.delete(waiter)) return false;
    if (!queue.size) this.#queues.delete(key);
    this.#size -= 1;
    return true;
  }

  has(waiter: Waiter): boolean {
    return this.#queues.get(waiter.place.key)?.has(waiter) ?? false;
  }

  first(key: string): Waiter | undefined {
    for (const waiter of this.#queues.get(key) ?? []) return waiter;
    return undefined;
  }

  /** Does somebody wait there for whom nothing is being opened? */
  hasStranded(key: string): boolean {
    for (const { opening } of this.#queues.get(key) ?? []) if (!opening) return true;
    return false;
  }

  all(): Waiter[] {
    return [...this.#queues.values()].flatMap((queue) => [...queue]);
  }

  /** For each database those for whom nothing is being opened; who has waited longest comes first. */
  stranded(): Waiter[][] {
    return [...this.#queues.values()]
      .map((queue) => [...queue].filter(({ opening }) => !opening))
      .filter((queue) => queue.length)
      .sort(([a], [b]) => (a?.since ?? 0) - (b?.since ?? 0));
  }
}
