import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type BenchFleet, startMigratedFleet } from './fleet.ts';
import { mpm } from './harness.ts';
import type { Bench } from './harness.ts';

/** Names of one and the same server: two tenants cannot have the same database of one. */
const NAMES = 40;
const DATABASES = 500;
const MEGABYTE = 1024;

const bench: Bench = {
  title: 'up --all, nothing to do: peak memory of the process',
  async run(row) {
    const fleet = await startMigratedFleet(DATABASES);
    try {
      await fleet.query('alter system set fsync = off');
      await fleet.query('select pg_reload_conf()');
      const url = fleet.server.url;
      const servers = Object.fromEntries(Array.from({ length: NAMES }, (_, at) => [`s${at}`, { url }]));
      const config = { central: { url }, servers, pace: { concurrency: 1 } };
      await writeFile(join(fleet.cwd, 'mpm-migrate.config.json'), JSON.stringify(config));
      for (const [tenants, pairs] of [
        [2_000, 5],
        [20_000, 3],
      ] as const) {
        await row(`${tenants.toLocaleString('en')} tenants, against 200`, {
          limit: 64,
          difference: true,
          unit: 'MB',
          floor: () => peak(fleet, 200),
          ours: () => peak(fleet, tenants),
          pairs,
          warmUp: 0,
        });
      }
    } finally {
      await fleet.stop();
    }
  },
};

/** MB at the most of a run over so many tenants, as many on each server. */
async function peak(fleet: BenchFleet, tenants: number): Promise<number> {
  await fleet.query(`truncate companies, company_databases cascade;
insert into companies (id, name) select n, 'tenant ' || n from generate_series(1, ${tenants}) n;
insert into company_databases (company_id, database_name, server)
  select n, 't' || (n - 1) / ${NAMES} + 1, 's' || (n - 1) % ${NAMES} from generate_series(1, ${tenants}) n`);
  const file = join(fleet.cwd, 'peak');
  const preload = `--require=${join(import.meta.dirname, 'peak-memory.cjs')}`;
  await mpm(['up', '--all'], { cwd: fleet.cwd, env: { NODE_OPTIONS: preload, PEAK_MEMORY_FILE: file } });
  return Number(await readFile(file, 'utf8')) / MEGABYTE;
}

export default bench;
