import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CONCURRENCY, startMigratedFleet } from './fleet.ts';
import { mpmCommand, program } from './harness.ts';
import type { Bench } from './harness.ts';

const DATABASES = 500;

const bench: Bench = {
  title: 'progress on a terminal of a run over 1,000 tenants, against --quiet',
  async run(row) {
    const fleet = await startMigratedFleet(DATABASES);
    try {
      const url = fleet.server.url;
      const config = {
        central: { url },
        servers: { one: { url }, other: { url } },
        pace: { concurrency: CONCURRENCY / 2 },
      };
      await writeFile(join(fleet.cwd, 'mpm-migrate.config.json'), JSON.stringify(config));
      await fleet.query(`update company_databases set server = 'one';
insert into companies (id, name) select id + ${DATABASES}, name || ' other' from companies;
insert into company_databases (company_id, database_name, server)
  select company_id + ${DATABASES}, database_name, 'other' from company_databases`);
      // In a terminal of its own, which is what `script` is for.
      const onTerminal = (...args: string[]): Promise<string> =>
        program('script', ['-qec', `stty cols 100 rows 40; ${mpmCommand(args)}`, '/dev/null'], {
          cwd: fleet.cwd,
          env: { TERM: 'xterm-256color' },
        });
      await row('wall time', {
        limit: 1.05,
        floor: () => onTerminal('up', '--all', '--quiet'),
        ours: () => onTerminal('up', '--all'),
      });
    } finally {
      await fleet.stop();
    }
  },
};

export default bench;
