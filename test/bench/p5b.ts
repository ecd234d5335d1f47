import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { addTenants, startFleet, urlOf } from './fleet.ts';
import { mpm, program } from './harness.ts';
import type { Bench } from './harness.ts';
import { CONCURRENT, writeConcurrentHistory, writeFiles } from './history.ts';

const bench: Bench = {
  title: `${CONCURRENT.files} migrations, ${CONCURRENT.indexes} with CREATE INDEX CONCURRENTLY, against psql`,
  async run(row) {
    const fleet = await startFleet();
    const history = writeConcurrentHistory();
    const script = join(fleet.cwd, 'all.sql');
    const renew = async (): Promise<void> => {
      for (const name of ['t1', 'bare']) {
        await fleet.query(`drop database if exists ${name}`);
        await fleet.query(`create database ${name}`);
      }
      await fleet.query('checkpoint');
    };
    const connections = async (): Promise<number> => {
      const [found] = await fleet.query<{ sessions: number }>(
        "select sessions::int as sessions from pg_stat_database where datname = 't1'",
      );
      return found?.sessions ?? Number.NaN;
    };
    try {
      await writeFiles(join(fleet.cwd, 'migrations/core'), history, ({ name, sql, bare }) => [
        `${name}.sql`,
        bare ? `-- migrate:up transaction:false\n${sql}` : sql,
      ]);
      await writeFile(
        script,
        history.map(({ sql, bare }) => (bare ? sql : `begin;\n${sql}commit;\n`)).join(''),
      );
      await addTenants(fleet, 't', 1);
      await renew();
      const psql = ['-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', script, urlOf(fleet.server, 'bare')];
      await row('the same statements in the same transactions', {
        limit: 1.3,
        floor: () => program('psql', psql),
        ours: () => mpm(['up', '--all'], fleet),
        reset: renew,
      });
      await row('connections', {
        limit: 2,
        unit: 'connections',
        floor: async () => 1,
        ours: async () => {
          await renew();
          await mpm(['up', '--all'], fleet);
          return connections();
        },
        pairs: 1,
        warmUp: 0,
      });
    } finally {
      await fleet.stop();
    }
  },
};

export default bench;
