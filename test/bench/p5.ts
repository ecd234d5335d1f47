import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { addTenants, startFleet, urlOf } from './fleet.ts';
import { mpm, program } from './harness.ts';
import type { Bench } from './harness.ts';
import { MIGRATIONS, writeFiles, writeHistory } from './history.ts';

const bench: Bench = {
  title: `${MIGRATIONS} migrations on one new database, against psql`,
  async run(row) {
    const fleet = await startFleet();
    const core = join(fleet.cwd, 'migrations/core');
    const history = writeHistory();
    const script = join(fleet.cwd, 'all.sql');
    const renew = async (): Promise<void> => {
      for (const name of ['t1', 'bare']) {
        await fleet.query(`drop database if exists ${name}`);
        await fleet.query(`create database ${name}`);
      }
      await fleet.query('checkpoint');
    };
    try {
      await writeFiles(core, history);
      const files = history.map(({ name }) => `begin;\n\\i ${join(core, `${name}.sql`)}\ncommit;\n`);
      await writeFile(script, files.join(''));
      await addTenants(fleet, 't', 1);
      await renew();
      const psql = ['-X', '-q', '-v', 'ON_ERROR_STOP=1', '-f', script, urlOf(fleet.server, 'bare')];
      await row('the same files, one transaction each', {
        limit: 1.2,
        floor: () => program('psql', psql),
        ours: () => mpm(['up', '--all'], fleet),
        reset: renew,
      });
    } finally {
      await fleet.stop();
    }
  },
};

export default bench;
