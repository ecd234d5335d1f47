import type { RunEvent } from '../../fleet/events.ts';

interface ServerWork {
  /** Ms of those that were not begun yet, one after the other, as the ledger knows them. */
  queued: number;
  running: Map<string, { expected: number; since: number }>;
}

/**
 * Estimates the time left of a run whose tenants are known to be uneven, from how long each took the last time:
 * a giant that is at work, or yet to come, counts as what it is.
 */
export class ExpectedWork {
  readonly #servers: Map<string, ServerWork>;
  /** Given their lane up until they are tried again. */
  readonly #retrying = new Map<string, number>();
  /** Ms of what ended, as expected and as it was. */
  #expected = 0;
  #actual = 0;

  /** @param byServer ms of each server's tenants, one after the other */
  constructor(byServer: Readonly<Record<string, number>>) {
    this.#servers = new Map(
      Object.entries(byServer).map(([server, queued]) => [server, { queued, running: new Map() }]),
    );
  }

  take(event: RunEvent): void {
    if (event.type === 'tenant-started' && event.expectedMs !== undefined) {
      const { tenant, expectedMs, at } = event;
      const server = this.#servers.get(tenant.server);
      const again = this.#retrying.delete(tenant.id);
      if (server && !again) server.queued -= expectedMs;
      server?.running.set(tenant.id, { expected: expectedMs, since: at });
    } else if (event.type === 'tenant-waiting' && event.retryInMs !== undefined) {
      const running = this.#servers.get(event.tenant.server)?.running;
      this.#retrying.set(event.tenant.id, running?.get(event.tenant.id)?.expected ?? 0);
      running?.delete(event.tenant.id);
    } else if (event.type === 'tenant-finished') {
      const { tenant, durationMs } = event.result;
      const running = this.#servers.get(tenant.server)?.running;
      this.#expected += running?.get(tenant.id)?.expected ?? 0;
      if (running?.delete(tenant.id)) this.#actual += durationMs;
    }
  }

  /** Ms left at a time since the run's start, in ms; undefined before any tenant ended. */
  left(at: number): number | undefined {
    if (this.#expected === 0) return undefined;
    const pace = this.#actual / this.#expected;
    const retries = [...this.#retrying.values()].reduce((sum, ms) => sum + ms, 0);
    const each = [...this.#servers.values()].map(({ queued, running }) => {
      const remaining = [...running.values()].map(({ expected, since }) =>
        Math.max(0, expected * pace - (at - since)),
      );
      const work = Math.max(0, queued) * pace + remaining.reduce((sum, ms) => sum + ms, 0);
      return Math.max(work / Math.max(1, running.size), ...remaining);
    });
    return Math.max(0, ...each) + (retries * pace) / Math.max(1, this.#running());
  }

  #running(): number {
    return [...this.#servers.values()].reduce((sum, { running }) => sum + running.size, 0);
  }
}
