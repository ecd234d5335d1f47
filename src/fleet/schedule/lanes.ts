import type { Tenant } from '../../central/list/tenant.ts';
import { asFirst, type TenantAttempt } from '../attempt.ts';
import { type Limit, type Pressure, halved, limitOf, pressureOf, raised } from './limit.ts';
import { isFailure } from '../report/report.ts';

/** Why nothing more is started. */
export type StopReason = 'interrupted' | 'max-failures';

/** What the lanes are told to do, and tell. */
export interface LaneHandler<D> {
  /** One attempt; `before` is what the last one came to. Must not reject: a failure is a value. */
  attempt(tenant: Tenant, before: TenantAttempt<D> | undefined): Promise<TenantAttempt<D>>;
  /** It gave its lane up and comes again after `waitMs` at the earliest. */
  onRetry(tenant: Tenant, attempt: TenantAttempt<D>, waitMs: number): void;
  /** Its last attempt; after none, its server refuses everybody as it did the first ones. */
  onEnd(tenant: Tenant, attempt: TenantAttempt<D>, attempts: number): void | Promise<void>;
  onNotTried(tenant: Tenant, reason: StopReason): void | Promise<void>;
}

export interface LaneOptions<D> {
  servers: readonly { name: string; tenants: AsyncIterable<Tenant>; concurrency: number }[];
  work: LaneHandler<D>;
  /** Attempts after the first. */
  retries: number;
  backoff(attempt: number): number;
  /** So many failures, and nothing more is started. */
  maxFailures: number;
  /** Whether a server's tenants have to wait; asked again and again. */
  holds?: ((server: string) => boolean) | undefined;
  /** Nothing is started from the beginning. */
  stopped?: StopReason | undefined;
  signal?: AbortSignal | undefined;
}

interface Waiting<D> {
  tenant: Tenant;
  last: TenantAttempt<D>;
  attempts: number;
  due: number;
}

/** What all servers' lanes look at before they start a tenant. */
interface Brake {
  stopped: StopReason | undefined;
  failures: number;
}

/** So many tenants may wait for another attempt per server before no new ones are taken: memory stays flat. */
const MOST_WAITING = 1000;
/** ms after which a server that holds its tenants is asked again. */
const HELD = 250;
/** ms that a server may refuse connections before its tenants are given up: not yet reached, reached before. */
const PATIENCE = { unseen: 2_000, seen: 30_000 };

/**
 * Runs every tenant through lanes, some per server, each taking the next tenant as it comes free; ends when all
 * are settled or told to be not tried. Rejects only when a list of tenants cannot be read on; what was begun on
 * other servers is finished before.
 * @returns why nothing more was started, if so
 */
export async function runLanes<D>(options: LaneOptions<D>): Promise<StopReason | undefined> {
  const interrupted = options.signal?.aborted ? 'interrupted' : undefined;
  const brake: Brake = { stopped: options.stopped ?? interrupted, failures: 0 };
  const servers = options.servers.map((server) => new ServerLanes(server, options, brake));
  const onAbort = (): void => {
    brake.stopped ??= 'interrupted';
    for (const server of servers) server.wake();
  };
  options.signal?.addEventListener('abort', onAbort);
  try {
    const ends = await Promise.allSettled(servers.map((server) => server.run()));
    const rejected = ends.find((end) => end.status === 'rejected');
    if (rejected) throw rejected.reason;
    return brake.stopped;
  } finally {
    options.signal?.removeEventListener('abort', onAbort);
  }
}

class ServerLanes<D> {
  readonly #options: LaneOptions<D>;
  readonly #brake: Brake;
  readonly #name: string;
  readonly #stream: AsyncIterator<Tenant>;
  #limit: Limit;
  #active = 0;
  #waiting: Waiting<D>[] = [];
  #ended = false;
  #broken: { error: unknown } | undefined;
  #pausedUntil = 0;
  #lastHalved = 0;
  #seen = false;
  #refusals: { since: number; count: number } | undefined;
  #down: { tenant: Tenant; attempt: TenantAttempt<D> } | undefined;
  #wake: () => void = () => undefined;

  constructor(server: LaneOptions<D>['servers'][number], options: LaneOptions<D>, brake: Brake) {
    this.#options = options;
    this.#brake = brake;
    this.#name = server.name;
    this.#stream = server.tenants[Symbol.asyncIterator]();
    this.#limit = limitOf(server.concurrency);
  }

  wake(): void {
    this.#wake();
  }

  async run(): Promise<void> {
    while (!this.#brake.stopped && !this.#down) {
      const pause = this.#pausedUntil - Date.now();
      if (this.#active >= Math.floor(this.#limit.allowed)) await this.#changed();
      else if (pause > 0) await this.#changed(pause);
      else if (this.#options.holds?.(this.#name)) await this.#changed(HELD);
      else if (!(await this.#startNext())) break;
    }
    while (this.#active > 0) await this.#changed();
    await this.#endWaiting();
    await this.#drain();
    if (this.#broken) throw this.#broken.error;
  }

  /** Starts a tenant, or waits for something to happen; false when there is nothing left to do. */
  async #startNext(): Promise<boolean> {
    const fresh = await this.#nextFresh();
    if (fresh) {
      if (this.#brake.stopped) await this.#options.work.onNotTried(fresh, this.#brake.stopped);
      else void this.#try(fresh);
      return true;
    }
    if (this.#brake.stopped || this.#down) return true;
    const next = this.#nextWaiting();
    if (!next) {
      if (this.#active > 0) await this.#changed();
      return this.#active > 0 || this.#waiting.length > 0;
    }
    const wait = next.due - Date.now();
    if (wait > 0) {
      await this.#changed(wait);
      return true;
    }
    this.#waiting = this.#waiting.filter((waiting) => waiting !== next);
    void this.#try(next.tenant, next);
    return true;
  }

  async #nextFresh(): Promise<Tenant | undefined> {
    if (this.#ended || this.#waiting.length >= MOST_WAITING) return undefined;
    try {
      const { done, value } = await this.#stream.next();
      this.#ended = done === true;
      return done ? undefined : value;
    } catch (error) {
      this.#ended = true;
      this.#broken = { error };
      return undefined;
    }
  }

  #nextWaiting(): Waiting<D> | undefined {
    return this.#waiting.reduce<Waiting<D> | undefined>(
      (first, waiting) => (first && first.due <= waiting.due ? first : waiting),
      undefined,
    );
  }

  async #try(tenant: Tenant, before?: Waiting<D>): Promise<void> {
    const attempts = (before?.attempts ?? 0) + 1;
    this.#active += 1;
    const started = Date.now();
    try {
      const ended = await this.#options.work.attempt(tenant, before?.last);
      const pressure = pressureOf(ended.error);
      this.#adapt(tenant, ended, pressure, started);
      const again = (ended.retryable || pressure) && attempts <= this.#options.retries;
      if (again && !this.#brake.stopped && !this.#down) this.#wait(tenant, ended, attempts);
      else await this.#end(tenant, ended, attempts);
    } catch (error) {
      this.#broken ??= { error };
    } finally {
      this.#active -= 1;
      this.#wake();
    }
  }

  #wait(tenant: Tenant, last: TenantAttempt<D>, attempts: number): void {
    const wait = this.#options.backoff(attempts);
    this.#waiting.push({ tenant, last, attempts, due: Date.now() + wait });
    this.#options.work.onRetry(tenant, last, wait);
  }

  async #end(tenant: Tenant, attempt: TenantAttempt<D>, attempts: number): Promise<void> {
    if (isFailure(attempt.outcome)) this.#brake.failures += 1;
    if (this.#brake.failures >= this.#options.maxFailures) this.#brake.stopped ??= 'max-failures';
    await this.#options.work.onEnd(tenant, attempt, attempts);
  }

  /** Moves the limit by what the server answered; gives the server up when it refuses for too long. */
  #adapt(tenant: Tenant, attempt: TenantAttempt<D>, pressure: Pressure | undefined, started: number): void {
    const now = Date.now();
    if (!pressure) {
      this.#limit = raised(this.#limit);
    } else if (started >= this.#lastHalved) {
      // Attempts that began before the last halving say nothing about the limit after it.
      this.#limit = halved(this.#limit);
      this.#lastHalved = now;
    }
    if (pressure === 'full') this.#pausedUntil = now + 50 + Math.random() * 200;
    if (pressure !== 'unreachable') {
      this.#seen = true;
      this.#refusals = undefined;
      if (!pressure) this.#hurryRefused(now);
      return;
    }
    const { since, count } = this.#refusals ?? { since: started, count: 0 };
    this.#refusals = { since, count: count + 1 };
    this.#pausedUntil = now + Math.min(1_000, this.#options.backoff(count + 1));
    const patience = this.#seen ? PATIENCE.seen : PATIENCE.unseen;
    if (now - since >= patience) this.#down = { tenant, attempt };
  }

  /** The server has room again: who was refused for want of it need not wait any longer. */
  #hurryRefused(now: number): void {
    for (const waiting of this.#waiting)
      if (pressureOf(waiting.last.error)) waiting.due = Math.min(waiting.due, now);
  }

  /** Those that wait for another attempt when nothing more is started end with what the last one said. */
  async #endWaiting(): Promise<void> {
    const left = this.#waiting;
    this.#waiting = [];
    for (const { tenant, last, attempts } of left) await this.#end(tenant, last, attempts);
  }

  /** Accounts for those that were never started. */
  async #drain(): Promise<void> {
    for (;;) {
      const tenant = await this.#nextFresh();
      if (!tenant) return;
      if (this.#brake.stopped) await this.#options.work.onNotTried(tenant, this.#brake.stopped);
      else if (this.#down) await this.#end(tenant, asFirst(this.#down.attempt, this.#down.tenant, tenant), 0);
    }
  }

  #changed(ms?: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = ms === undefined ? undefined : setTimeout(resolve, ms);
      this.#wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
}
