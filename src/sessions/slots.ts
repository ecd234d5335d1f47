import type { DatabaseTarget } from '../postgres/connect.ts';
import type { Connection } from '../postgres/connection.ts';
import type { Watch, Lease } from '../postgres/lease.ts';
import { mayGo, type PoolLimits, type PoolStats, tenureOf } from './pool-choice.ts';

/** A database to which connections are kept. */
export interface PooledDatabase {
  /** Equal for equal databases. */
  key: string;
  /** Whose limit counts. */
  server: string;
  target: DatabaseTarget;
  /** Looks at a new connection before it is used; what it throws is the caller's answer. */
  verify?: (connection: Connection) => Promise<void>;
  /** Looks at what is sent over one of its connections. */
  watch?: (sql: string, connection: Connection) => ReturnType<Watch>;
}

/** A place under the ceiling: taken before a connection is opened, free when the server has let go of it. */
export interface Slot {
  readonly place: PooledDatabase;
  state: 'opening' | 'idle' | 'used' | 'closing';
  connection?: Connection;
  /** Closed as soon as it comes free. */
  doomed: boolean;
  idleSince: number;
  openedAt: number;
}

/** Which connections there are, counted by database and by server. */
export class Slots {
  readonly #limits: PoolLimits;
  readonly #all = new Set<Slot>();
  /** The least recently used first. */
  readonly idle = new Set<Slot>();
  readonly #ofKey = new Map<string, number>();
  readonly #ofServer = new Map<string, number>();
  /** How long it takes to open one, in ms; the last ones count most. */
  #openMs = 0;
  #opened = 0;
  #evicted = 0;
  #peak = 0;

  constructor(limits: PoolLimits) {
    this.#limits = limits;
  }

  get size(): number {
    return this.#all.size;
  }

  [Symbol.iterator](): IterableIterator<Slot> {
    return this.#all.values();
  }

  ofDatabase(key: string): number {
    return this.#ofKey.get(key) ?? 0;
  }

  ofServer(server: string): number {
    return this.#ofServer.get(server) ?? 0;
  }

  add(place: PooledDatabase): Slot {
    const slot: Slot = { place, state: 'opening', doomed: false, idleSince: 0, openedAt: performance.now() };
    this.#all.add(slot);
    this.#count(place, 1);
    this.#opened += 1;
    this.#peak = Math.max(this.#peak, this.#all.size);
    return slot;
  }

  /** It is open, and used. */
  opened(slot: Slot, connection: Connection): void {
    const now = performance.now();
    this.#openMs = this.#openMs * 0.8 + (now - slot.openedAt) * 0.2;
    slot.openedAt = now;
    slot.connection = connection;
    slot.state = 'used';
  }

  rest(slot: Slot): void {
    slot.state = 'idle';
    slot.idleSince = performance.now();
    this.idle.add(slot);
  }

  /** @returns whether it was there */
  remove(slot: Slot): boolean {
    this.idle.delete(slot);
    if (!this.#all.delete(slot)) return false;
    this.#count(slot.place, -1);
    return true;
  }

  /** An idle connection to that database, no longer idle; the most recently used, so that the others time out. */
  takeIdle(key: string): Slot | undefined {
    if (!this.idle.size || !this.#ofKey.has(key)) return undefined;
    let found: Slot | undefined;
    for (const slot of this.idle) if (slot.place.key === key) found = slot;
    if (found) this.idle.delete(found);
    return found;
  }

  /** The least recently used idle connection that may go for the sake of another database. */
  victim(server: string | undefined): Slot | undefined {
    for (const slot of this.idle) {
      if ((server === undefined || slot.place.server === server) && this.mayGo(slot)) return slot;
    }
    return undefined;
  }

  mayGo({ state, idleSince, openedAt }: Slot): boolean {
    const now = performance.now();
    const idleMs = state === 'idle' ? now - idleSince : 0;
    return mayGo({ idleMs, ageMs: now - openedAt }, tenureOf(this.#openMs, this.#limits));
  }

  countEviction(): void {
    this.#evicted += 1;
  }

  stats(waiting: number): PoolStats {
    const servers: PoolStats['servers'] = {};
    for (const [server, open] of this.#ofServer) {
      servers[server] = { connections: this.#limits.ofServer(server), open };
    }
    return {
      connections: this.#limits.connections,
      open: this.#all.size,
      inUse: [...this.#all].filter(({ state }) => state === 'used').length,
      idle: this.idle.size,
      databases: this.#ofKey.size,
      waiting,
      opened: this.#opened,
      evicted: this.#evicted,
      peak: this.#peak,
      servers,
    };
  }

  #count({ key, server }: PooledDatabase, by: number): void {
    add(this.#ofKey, key, by);
    add(this.#ofServer, server, by);
  }
}

function add(counts: Map<string, number>, key: string, by: number): void {
  const count = (counts.get(key) ?? 0) + by;
  if (count) counts.set(key, count);
  else counts.delete(key);
}

/** Somebody who waits for a connection. */
export interface Waiter {
  readonly place: PooledDatabase;
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
