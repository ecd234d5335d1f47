import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { startProxy } from '../helpers/proxy.ts';
import { addTenants, startFleet, urlOf } from './fleet.ts';
import { mpm } from './harness.ts';
import type { Bench } from './harness.ts';
import { writeFiles, writeHistory } from './history.ts';

const MIGRATIONS = 50;
/** ms, each way. */
const DELAY = 5;

const bench: Bench = {
  title: `${MIGRATIONS} SQL migrations on one tenant, ${DELAY} ms away each way`,
  async run(row) {
    const fleet = await startFleet();
    const proxy = await startProxy(fleet.server.url, { delay: DELAY });
    const renew = async (): Promise<void> => {
      await fleet.query('drop database if exists t1');
      await fleet.query('create database t1');
    };
    try {
      await writeFiles(join(fleet.cwd, 'migrations/core'), writeHistory(MIGRATIONS));
      const config = {
        central: { url: fleet.server.url },
        servers: { default: { url: proxy.through(fleet.server.url) } },
      };
      await writeFile(join(fleet.cwd, 'mpm-migrate.config.json'), JSON.stringify(config));
      await addTenants(fleet, 't', 1);
      await renew();
      const place = { cwd: fleet.cwd };
      await row('on the wire, connect and first look included', {
        limit: 2.2,
        unit: 'round trips',
        floor: async () => MIGRATIONS,
        ours: async () => {
          const before = proxy.counts.roundTrips;
          await mpm(['up', '--all'], place);
          return proxy.counts.roundTrips - before;
        },
        reset: renew,
      });
      await row('in time, against so many times select 1', {
        limit: 2.2,
        floor: () => ask(proxy.through(urlOf(fleet.server, 'postgres'))),
        ours: async () => {
          const report = JSON.parse(await mpm(['up', '--tenant', '1', '--json'], place)) as {
            tenants: { durationMs: number }[];
          };
          return report.tenants[0]?.durationMs;
        },
        reset: renew,
      });
    } finally {
      await proxy.stop();
      await fleet.stop();
    }
  },
};

/** ms that the round trips alone take. */
async function ask(url: string): Promise<number> {
  const client = new pg.Client(url);
  await client.connect();
  const started = performance.now();
  for (let number = 0; number < MIGRATIONS; number++) await client.query('select 1');
  const took = performance.now() - started;
  await client.end();
  return took;
}

export default bench;
