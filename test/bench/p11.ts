import { join } from 'node:path';
import { sql } from 'kysely';
import pg from 'pg';
import type * as library from '../../src/index.ts';
import { addTenants, startFleet, urlOf } from './fleet.ts';
import type { Bench } from './harness.ts';

const TENANTS = 40;
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
      await bench.clone('template_tenant', 't', TENANTS);
      await addTenants(bench, 't', TENANTS);
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
    } finally {
      await fleet.close();
      await bench.stop();
    }
  },
};

export default bench;
