import { AsyncLocalStorage } from 'node:async_hooks';
import type { Kysely } from 'kysely';
import { tenantWord, text } from '../argument.ts';
import type { Tenant } from '../central/list/tenant.ts';
import type { Config } from '../config/define.ts';
import { MpmError } from '../errors.ts';
import { kyselyOver } from '../postgres/kysely.ts';
import type { Lease } from '../postgres/lease.ts';
import { Directory, type Entry } from './directory.ts';
import { refusalOf, HeadGuard } from './head-guard.ts';
import { placeKey, PooledDatabases } from './pooled-databases.ts';
import type { PoolStats } from './pool-choice.ts';
import { ConnectionPool, interrupted, poolClosed } from './pool.ts';

/** A tenant's id, as the central database has it. */
export type TenantId = number | bigint | string;

export interface SessionOptions {
  /**
   * Refuse the tenant unless it has come so far: a migration's version or name. What a release of the
   * application sets to the last migration that it was written for.
   */
  atLeast?: string;
  /** Once aborted, nobody waits for a connection any more; queries that run are not cut. */
  signal?: AbortSignal;
}

/** A tenant, and its database. */
export interface Session<DB> {
  readonly tenant: Tenant;
  readonly db: Kysely<DB>;
}

/** Sessions of an application in its tenants' databases, over one bounded set of connections. */
export class Sessions {
  readonly #config: Config;
  readonly #directory: Directory;
  readonly #pool: ConnectionPool;
  readonly #heads: HeadGuard;
  readonly #places: PooledDatabases;
  #closed = false;
  readonly #current = new AsyncLocalStorage<Session<unknown>>();

  constructor(config: Config) {
    const { connections, perTenant, waitTimeout, idleTimeout } = config.sessions;
    this.#config = config;
    this.#places = new PooledDatabases(config);
    this.#directory = new Directory(config, (tenant) => {
      this.#pool.retire(placeKey(tenant));
      this.#heads.forget(tenant.id);
    });
    this.#pool = new ConnectionPool({
      connections,
      perDatabase: perTenant,
      waitTimeout,
      idleTimeout,
      ofServer: (name) => config.servers[name]?.maxConnections ?? connections,
    });
    this.#heads = new HeadGuard(config, () => this.#directory.history);
  }

  async connect<DB>(id: TenantId, options: SessionOptions = {}): Promise<Kysely<DB>> {
    return (await this.#open<DB>(id, options)).db;
  }

  async resolve(user: { email: string }): Promise<Tenant> {
    if (this.#closed) throw poolClosed();
    const hint = "For example: fleet.resolve({ email: 'ada@acme.example' })";
    return this.#directory.ofUser(text('email', (user as { email?: unknown } | undefined)?.email, hint));
  }

  async run<DB, T>(
    id: TenantId,
    work: (session: Session<DB>) => Promise<T> | T,
    options: SessionOptions = {},
  ): Promise<T> {
    const session = await this.#open<DB>(id, options);
    return this.#current.run(session as unknown as Session<unknown>, () => work(session));
  }

  current<DB>(): Session<DB> {
    const session = this.#current.getStore();
    if (session) return session as unknown as Session<DB>;
    throw new MpmError('NO_CURRENT_TENANT', 'there is no current tenant', {
      hint: 'Call it inside fleet.run(id, …), or specify the tenant: fleet.connect(id).',
    });
  }

  stats(): PoolStats {
    return this.#pool.stats();
  }

  async close(signal?: AbortSignal): Promise<void> {
    this.#closed = true;
    await this.#pool.close(signal);
    await this.#directory.close();
  }

  async #open<DB>(given: TenantId, options: SessionOptions): Promise<Session<DB>> {
    const { signal, atLeast } = options;
    const id = tenantWord(given);
    if (this.#closed) throw poolClosed();
    if (signal?.aborted) throw interrupted(signal);
    const { tenant } = await this.#admit(id);
    if (atLeast !== undefined) await this.#heads.require(tenant, atLeast, () => this.#borrow(id));
    return { tenant, db: kyselyOver<DB>(() => this.#borrow(id, signal)) };
  }

  /** What is known of a tenant, if it may have sessions. */
  async #admit(id: string): Promise<Entry> {
    const entry = this.#directory.peek(id) ?? (await this.#directory.get(id));
    const refusal = refusalOf(entry.tenant, this.#config);
    if (refusal) throw refusal;
    return entry;
  }

  /** A connection to the database that the tenant has now. */
  async #borrow(id: string, signal?: AbortSignal): Promise<Lease> {
    for (let entry = await this.#admit(id); ;) {
      const place = this.#places.of(entry.tenant);
      const lease = await this.#pool.acquire(place, signal);
      if (entry.valid) return lease;
      // Its row has changed while we waited.
      try {
        entry = await this.#admit(id);
        if (placeKey(entry.tenant) === place.key) return lease;
      } catch (error) {
        lease.release();
        throw error;
      }
      lease.release();
    }
  }
}
