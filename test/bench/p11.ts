import { join } from 'node:path';
import { sql } from 'kysely';
import pg from 'pg';
import type * as library from '../../src/index.ts';
import { addTenants, startFleet, urlOf } from './fleet.ts';
import type { Bench } from './harness.ts';

const TENANTS = 40;
const MANY = { tenants: 300, callers: 64, connections: 32, calls: 4000 };
const CEILING = 30;
const CALLS = 20_000;

/** What connect(id) may take when the pool is warm, in ms. */
const WARM = 0.02;

const bench: Bench = {
  title: `connect(id), ${CEILING} connections for ${TENANTS} tenants`,
  async run(row) {
    const bench = await startFleet();
    const { openFleet } = (await import(join(import.meta.dirname, '../../dist/index.js'))) as typeof library;
    const fleet = await openFleet({
      central: { url: bench.server.url },
      sessions: { connections: CEILING, ttl: '10min' },
    });
    try {
      await bench.query('create database template_tenant');
      await bench.clone('template_tenant', 't', MANY.tenants);
      await addTenants(bench, 't', MANY.tenants);
      const ask = async (id: number): Promise<void> => {
        await sql`select 1`.execute(await fleet.connect(id));
      };
      await ask(1);
      await row('warm, µs against 20', {
        limit: 1,
        floor: async () => WARM * 1000,
        ours: async () => {
          const started = performance.now();
          for (let n = 0; n < CALLS; n += 1) await fleet.connect(1);
          return ((performance.now() - started) / CALLS) * 1000;
        },
      });
      const ids = Array.from({ length: TENANTS }, (_, index) => index + 1);
      for (const id of ids) await ask(id);
      await row('with eviction and a query, against a new one', {
        limit: 1.2,
        pairs: 9,
        floor: async () => {
          for (const id of ids) {
            const client = new pg.Client(urlOf(bench.server, `t${id}`));
            await client.connect();
            await client.query('select 1');
            await client.end();
          }
        },
        ours: async () => {
          const { evicted } = fleet.stats();
          for (const id of ids) await ask(id);
          if (fleet.stats().evicted - evicted !== TENANTS) throw new Error('not every call had to evict');
        },
      });
      const busy = await openFleet({
        central: { url: bench.server.url },
        sessions: { connections: MANY.connections, ttl: '10min' },
      });
      const pools = new Pools(MANY.connections, (id) => urlOf(bench.server, `t${id}`));
      const all = async (call: (id: number) => Promise<unknown>): Promise<void> => {
        const next = zipf(MANY.tenants);
        let left = MANY.calls;
        const caller = async (): Promise<void> => {
          while (left-- > 0) await call(next());
        };
        await Promise.all(Array.from({ length: MANY.callers }, caller));
      };
      try {
        await row(`${MANY.callers} callers, ${MANY.tenants} tenants, against a map of pg.Pool`, {
          limit: 1,
          floor: () => all((id) => pools.query(id)),
          ours: () => all(async (id) => sql`select 1`.execute(await busy.connect(id))),
        });
      } finally {
        await pools.end();
        await busy.close();
      }
    } finally {
      await fleet.close();
      await bench.stop();
    }
  },
};

/** Tenants by how busy they are: the first ones far more than the last; the same ones in each round. */
function zipf(count: number): () => number {
  const weights = Array.from({ length: count }, (_, at) => 1 / (at + 1));
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  let seed = 1;
  return () => {
    seed = (seed * 48_271) % 2_147_483_647;
    let rest = (seed / 2_147_483_647) * total;
    const at = weights.findIndex((weight) => (rest -= weight) <= 0);
    return (at < 0 ? count - 1 : at) + 1;
  };
}

/** What one writes by hand: a pool of one connection a tenant, and the least recently used idle one makes room. */
class Pools {
  readonly #most: number;
  readonly #urlOf: (id: number) => string;
  readonly #pools = new Map<number, { pool: pg.Pool; users: number }>();
  readonly #waiting: (() => void)[] = [];

  constructor(most: number, urlOf: (id: number) => string) {
    this.#most = most;
    this.#urlOf = urlOf;
  }

  async query(id: number): Promise<void> {
    let entry = this.#pools.get(id);
    while (!entry) {
      if (this.#pools.size < this.#most) {
        entry = { pool: new pg.Pool({ connectionString: this.#urlOf(id), max: 1 }), users: 0 };
        entry.pool.on('error', () => undefined);
      } else {
        const idle = [...this.#pools].find(([, { users }]) => users === 0);
        if (idle) {
          this.#pools.delete(idle[0]);
          await idle[1].pool.end();
        } else {
          await new Promise<void>((resolve) => this.#waiting.push(resolve));
        }
        entry = this.#pools.get(id);
      }
    }
    // The one that was used last goes to the end.
    this.#pools.delete(id);
    this.#pools.set(id, entry);
    entry.users += 1;
    try {
      await entry.pool.query('select 1');
    } finally {
      entry.users -= 1;
      this.#waiting.shift()?.();
    }
  }

  async end(): Promise<void> {
    await Promise.all([...this.#pools.values()].map(({ pool }) => pool.end()));
  }
}

export default bench;
