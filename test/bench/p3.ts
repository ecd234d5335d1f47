import { join } from 'node:path';
import { startFleet, startMigratedFleet } from './fleet.ts';
import { mpm } from './harness.ts';
import type { Bench } from './harness.ts';
import { writeFiles, writeHistory } from './history.ts';

const TENANTS = 500;

const bench: Bench = {
  title: 'up --all --fast, nothing to do',
  async run(row) {
    // The same project, whose files are read as well, and nobody in it.
    const none = await startFleet();
    await writeFiles(join(none.cwd, 'migrations/core'), writeHistory());
    const fleet = await startMigratedFleet(TENANTS);
    try {
      const before = await sessions();
      await row(`${TENANTS} tenants, against no tenants and one query`, {
        limit: 1.3,
        pairs: 15,
        warmUp: 2,
        floor: async () => {
          await mpm(['up', '--all'], none);
          await none.query('select 1');
        },
        ours: () => mpm(['up', '--all', '--fast'], fleet),
      });
      const opened = (await sessions()) - before;
      if (opened > 0) throw new Error(`${opened} connections to tenants were opened; there should be none`);
    } finally {
      await fleet.stop();
      await none.stop();
    }

    /** How many sessions the tenants' databases have seen. */
    async function sessions(): Promise<number> {
      const [seen] = await fleet.query<{ sum: number }>(
        "select sum(sessions)::int as sum from pg_stat_database where datname ~ '^t[0-9]+$'",
      );
      return seen?.sum ?? 0;
    }
  },
};

export default bench;
