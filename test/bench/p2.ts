import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { CONCURRENCY, pgbench, startMigratedFleet } from './fleet.ts';
import { mpm } from './harness.ts';
import type { Bench } from './harness.ts';

const TENANTS = 500;

const bench: Bench = {
  title: `up --all, nothing to do, ${CONCURRENCY} at once, against pgbench -C`,
  async run(row) {
    const fleet = await startMigratedFleet(TENANTS);
    try {
      const floor = () => pgbench(fleet, TENANTS);
      const all = () => mpm(['up', '--all'], fleet);
      await row(`P2: ${TENANTS} tenants × 276 applied`, { limit: 1.25, floor, ours: all });
      // Flat: what a tenant costs, in a run of many against a run of few; without the process's start.
      const each = async (count: number): Promise<number> => {
        const report = await mpm(['up', '--tenant', `1..${count}`, '--json'], fleet);
        return (JSON.parse(report) as { durationMs: number }).durationMs / count;
      };
      for (const count of [200, 500]) {
        const pair = { floor: () => each(50), ours: () => each(count) };
        await row(`ms per tenant: ${count} tenants against 50`, { limit: 1.1, ...pair });
      }
      await mpm(['sync', '--all'], fleet);
      await row(`P2b: each with a folder of its own`, { limit: 1.5, floor, ours: all });
      await rm(join(fleet.cwd, 'migrations/tenants'), { recursive: true });
    } finally {
      await fleet.stop();
    }
  },
};

export default bench;
