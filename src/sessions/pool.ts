import { MpmError } from '../errors.ts';
import { connect, type DatabaseTarget } from '../postgres/connect.ts';
import type { Connection } from '../postgres/connection.ts';
import { Lease } from '../postgres/lease.ts';
import { type Choice, choose, type PoolLimits, type PoolStats } from './pool-choice.ts';
import { Queues, type Waiter, type PooledDatabase, type Slot, Slots } from './slots.ts';

/** How often those who wait are looked at, in ms. */
const TICK = 50;

/** How long the server may take to say goodbye, in ms. */
const GOODBYE = 5_000;

/**
 * Connections to many databases under one ceiling. A connection never changes its database: to make room, the
 * least recently used idle one is closed, and counts until the server has let go of it.
 */
export class ConnectionPool {
  readonly #limits: PoolLimits;
  readonly #slots: Slots;
  readonly #queues = new Queues();
  /** Databases that have no connection: the next that may go makes room for them; of one server, if one is named. */
  #wanted = new Map<string, string | undefined>();
  #ticking: NodeJS.Timeout | undefined;
  #sweeping: NodeJS.Timeout | undefined;
  #onEmpty: (() => void)[] = [];
  #closed = false;

  constructor(limits: PoolLimits) {
    this.#limits = limits;
    this.#slots = new Slots(limits);
  }

  /**
   * A connection to that database, to be released.
   * @throws MpmError SESSION_TIMEOUT, FLEET_CLOSED, INTERRUPTED, and what `connect` and `verify` throw
   */
  async acquire(place: PooledDatabase, signal?: AbortSignal): Promise<Lease> {
    if (this.#closed) throw poolClosed();
    if (signal?.aborted) throw interrupted(signal);
    const idle = this.#takeIdle(place.key);
    if (idle) return idle;
    return new Promise<Lease>((resolve, reject) => {
      const onAbort = () => signal && waiter.settle(interrupted(signal));
      const waiter: Waiter = {
        place,
        since: performance.now(),
        opening: false,
        settle: (outcome) => {
          if (!this.#queues.delete(waiter)) return;
          signal?.removeEventListener('abort', onAbort);
          if (outcome instanceof Lease) resolve(outcome);
          else reject(outcome);
        },
      };
      signal?.addEventListener('abort', onAbort, { once: true });
      const others = this.#queues.hasStranded(place.key);
      this.#queues.add(waiter);
      this.#ticking ??= setInterval(() => this.#tick(), TICK);
      // What cannot be done for those before it cannot be done for this one either.
      if (others) return;
      const choice = this.#choose(waiter);
      if (choice.do === 'open') void this.#open(waiter);
      else if (choice.do !== 'wait') this.#serve();
    });
  }

  /** Closes what is idle there now, and what is in use as soon as it comes free. */
  retire(key: string): void {
    for (const slot of this.#slots) {
      if (slot.place.key !== key) continue;
      slot.doomed = true;
      if (slot.state === 'idle') this.#close(slot);
    }
  }

  stats(): PoolStats {
    return this.#slots.stats(this.#queues.size);
  }

  /** Lends nothing more, and waits until all is given back and closed; once aborted, cuts what is in use. */
  async close(signal?: AbortSignal): Promise<void> {
    this.#closed = true;
    clearInterval(this.#ticking);
    clearInterval(this.#sweeping);
    for (const waiter of this.#queues.all()) waiter.settle(poolClosed());
    for (const slot of this.#slots.idle) this.#close(slot);
    if (!this.#slots.size) return;
    const cut = () => {
      for (const { connection } of this.#slots) connection?.cut();
    };
    if (signal?.aborted) cut();
    signal?.addEventListener('abort', cut, { once: true });
    await new Promise<void>((resolve) => this.#onEmpty.push(resolve));
    signal?.removeEventListener('abort', cut);
  }

  #takeIdle(key: string): Lease | undefined {
    const slot = this.#slots.takeIdle(key);
    return slot?.connection && this.#lend(slot, slot.connection);
  }

  #lend(slot: Slot, connection: Connection): Lease {
    slot.state = 'used';
    const { watch } = slot.place;
    const onRelease = (usable: boolean) => this.#takeBack(slot, usable);
    return new Lease(connection, onRelease, watch && ((sql) => watch(sql, connection)));
  }

  #takeBack(slot: Slot, usable: boolean): void {
    if (slot.state !== 'used' || !slot.connection) return;
    if (!usable || slot.doomed || this.#closed || this.#isWanted(slot)) return this.#close(slot);
    const next = this.#queues.first(slot.place.key);
    if (next) return next.settle(this.#lend(slot, slot.connection));
    this.#slots.rest(slot);
    this.#sweeping ??= setInterval(() => this.#sweep(), Math.max(TICK, this.#limits.idleTimeout / 4)).unref();
    if (this.#queues.size && this.#slots.mayGo(slot)) this.#serve();
  }

  /** Somebody else has no connection at all, and this one was long enough where it is. */
  #isWanted(slot: Slot): boolean {
    if (!this.#wanted.size || !this.#slots.mayGo(slot)) return false;
    for (const [key, server] of this.#wanted) {
      if (key === slot.place.key || (server !== undefined && server !== slot.place.server)) continue;
      this.#wanted.delete(key);
      this.#slots.countEviction();
      return true;
    }
    return false;
  }

  /** Does what can be done for those who wait; databases without any connection come first. */
  #serve(): void {
    this.#wanted = new Map();
    const leaving = [...this.#slots].filter(({ state }) => state === 'closing');
    const queues = this.#queues.stranded();
    const hasNone = ([first]: Waiter[]) => first && !this.#slots.ofDatabase(first.place.key);
    const rich = queues.filter((queue) => !hasNone(queue));
    for (const queue of [...queues.filter(hasNone), ...rich]) {
      // Who comes later fares no better.
      for (const waiter of queue) if (!this.#attend(waiter, leaving)) break;
    }
  }

  /** @returns whether this one needs nothing more */
  #attend(waiter: Waiter, leaving: Slot[]): boolean {
    const { key, server } = waiter.place;
    const idle = this.#takeIdle(key);
    if (idle) {
      waiter.settle(idle);
      return true;
    }
    const choice = this.#choose(waiter);
    if (choice.do === 'open') {
      void this.#open(waiter);
      return true;
    }
    if (choice.do === 'wait') return false;
    const only = choice.from === 'server' ? server : undefined;
    const gone = leaving.findIndex(({ place }) => only === undefined || place.server === only);
    if (gone >= 0) {
      leaving.splice(gone, 1);
      return false;
    }
    const victim = this.#slots.victim(only);
    if (victim) {
      this.#slots.countEviction();
      this.#close(victim);
    } else if (choice.do === 'yield') this.#wanted.set(key, only);
    return false;
  }

  #choose({ place, since }: Waiter): Choice {
    const situation = {
      waitedMs: performance.now() - since,
      ofDatabase: this.#slots.ofDatabase(place.key),
      ofServer: this.#slots.ofServer(place.server),
      inAll: this.#slots.size,
    };
    const { connections, perDatabase } = this.#limits;
    return choose(situation, { connections, perDatabase, server: this.#limits.ofServer(place.server) });
  }

  async #open(waiter: Waiter): Promise<void> {
    const { place } = waiter;
    waiter.opening = true;
    const slot = this.#slots.add(place);
    let connection: Connection;
    try {
      connection = await connect(place.target);
      slot.connection = connection;
      connection.onLost(() => {
        // Of one in use, its query learns it.
        if (slot.state === 'idle') this.#close(slot);
      });
      await place.verify?.(connection);
      this.#slots.opened(slot, connection);
    } catch (error) {
      waiter.settle(error as Error);
      return this.#close(slot);
    }
    // The one for whom it was opened may have been served meanwhile, or waits no more.
    const lease = this.#lend(slot, connection);
    if (this.#closed || !this.#queues.has(waiter)) lease.release();
    else waiter.settle(lease);
  }

  #close(slot: Slot): void {
    if (slot.state === 'closing') return;
    slot.state = 'closing';
    this.#slots.idle.delete(slot);
    const { connection } = slot;
    if (!connection) return this.#remove(slot);
    const late = setTimeout(() => connection.cut(), GOODBYE).unref();
    void connection.close().then(() => {
      clearTimeout(late);
      this.#remove(slot);
    });
  }

  #remove(slot: Slot): void {
    if (!this.#slots.remove(slot)) return;
    if (!this.#slots.size) for (const tell of this.#onEmpty.splice(0)) tell();
    if (this.#queues.size) this.#serve();
  }

  #tick(): void {
    const { waitTimeout } = this.#limits;
    const latest = performance.now() - waitTimeout;
    for (const waiter of this.#queues.all()) {
      if (waiter.opening || waiter.since > latest) continue;
      waiter.settle(waitedTooLong(waiter.place.target, waitTimeout, this.stats()));
    }
    if (this.#queues.size) return this.#serve();
    clearInterval(this.#ticking);
    this.#ticking = undefined;
  }

  #sweep(): void {
    const latest = performance.now() - this.#limits.idleTimeout;
    for (const slot of this.#slots.idle) if (slot.idleSince <= latest) this.#close(slot);
    if (this.#slots.idle.size) return;
    clearInterval(this.#sweeping);
    this.#sweeping = undefined;
  }
}

export function poolClosed(): MpmError {
  return new MpmError('FLEET_CLOSED', 'the fleet is closed', { hint: 'Open a new one: openFleet(…)' });
}

export function interrupted(signal: AbortSignal): MpmError {
  return new MpmError('INTERRUPTED', 'the caller no longer waits for a connection', { cause: signal.reason });
}

function waitedTooLong(target: DatabaseTarget, waitTimeout: number, stats: PoolStats): MpmError {
  const { inUse, connections, waiting } = stats;
  const database = target.database ?? '';
  return new MpmError(
    'SESSION_TIMEOUT',
    `no connection to "${database}" became free within ${waitTimeout} ms: ${inUse} of ${connections} are in use, ${waiting} callers wait`,
    {
      subject: database,
      hint: 'Keep transactions short, and return each connection; or raise sessions.connections, sessions.perTenant, or the server’s maxConnections.',
    },
  );
}
