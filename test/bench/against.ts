import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { addTenants, type BenchFleet, startFleet, startMigratedFleet } from './fleet.ts';
import { mpm } from './harness.ts';
import type { Bench } from './harness.ts';
import { MIGRATIONS, writeFiles, writeHistory } from './history.ts';

const TENANTS = 500;
const LIMIT = 1.05;

const bench: Bench = {
  title: 'P2, P4 and P5 against the build in MPM_BENCH_AGAINST, each on a fleet of its own',
  async run(row) {
    const other = process.env['MPM_BENCH_AGAINST'];
    if (!other) throw new Error('Set MPM_BENCH_AGAINST to the folder of another, built checkout.');
    const fleets: BenchFleet[] = [];
    const begin = async (fleet: Promise<BenchFleet>): Promise<BenchFleet> => {
      fleets.push(await fleet);
      return fleet;
    };
    const pairOf = (floor: () => Promise<unknown>, ours: () => Promise<unknown>) => ({
      floor,
      ours,
      limit: LIMIT,
      pairs: 7,
    });
    const bin = join(other, 'bin/run.js');
    try {
      const then = await begin(startMigratedFleet(TENANTS, bin));
      const now = await begin(startMigratedFleet(TENANTS));
      const all = (fleet: BenchFleet) => () => mpm(['up', '--all'], fleet);
      await row(`P2: ${TENANTS} tenants, nothing to do`, pairOf(all(then), all(now)));
      await row(`P4: ${TENANTS} tenants, one alter table`, pairOf(alter(then), alter(now)));
      const [before, after] = [await begin(emptyFleet(bin)), await begin(emptyFleet())];
      await row(`P5: ${MIGRATIONS} migrations on a new database`, {
        ...pairOf(all(before), all(after)),
        reset: async () => {
          for (const fleet of [before, after]) await renew(fleet);
        },
      });
    } finally {
      for (const fleet of fleets) await fleet.stop();
    }
  },
};

/** Each time another migration on every tenant. */
function alter(fleet: BenchFleet): () => Promise<string> {
  let number = 0;
  return async () => {
    number += 1;
    const name = `20300101000000${String(number).padStart(3, '0')}_add`;
    await writeFile(
      join(fleet.cwd, `migrations/core/${name}.sql`),
      `alter table customer_0 add column extra_${number} text;\n`,
    );
    return mpm(['up', '--all'], fleet);
  };
}

async function emptyFleet(bin?: string): Promise<BenchFleet> {
  const fleet = await startFleet(bin);
  await writeFiles(join(fleet.cwd, 'migrations/core'), writeHistory());
  await addTenants(fleet, 't', 1);
  await renew(fleet);
  return fleet;
}

async function renew(fleet: BenchFleet): Promise<void> {
  await fleet.query('drop database if exists t1');
  await fleet.query('create database t1');
  await fleet.query('checkpoint');
}

export default bench;
