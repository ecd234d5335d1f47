import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { selectFingerprint } from '../../src/engine/catalog/query.ts';
import { CONCURRENCY, pgbench, startMigratedFleet } from './fleet.ts';
import { mpm } from './harness.ts';
import type { Bench } from './harness.ts';

const TENANTS = 500;
const QUERY = selectFingerprint({
  history: { schema: 'mpm_migrate', table: 'history' },
  comments: false,
  lockTimeout: 5000,
});

const bench: Bench = {
  title: `verify without drift, ${CONCURRENCY} at once, against pgbench -C with the same catalog query`,
  async run(row) {
    const fleet = await startMigratedFleet(TENANTS);
    try {
      await row(`P13: ${TENANTS} tenants × 276 applied`, {
        limit: 1.2,
        floor: () => pgbench(fleet, TENANTS, { sql: QUERY, database: 't1' }),
        ours: () => mpm(['verify'], fleet),
      });
      await rm(join(fleet.cwd, 'migrations'), { recursive: true });
    } finally {
      await fleet.stop();
    }
  },
};

export default bench;
