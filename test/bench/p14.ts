import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RehearseReport, RunReport } from '../../src/index.ts';
import { CONCURRENCY, startMigratedFleet, urlOf } from './fleet.ts';
import { mpm, program } from './harness.ts';
import type { Bench } from './harness.ts';

const TENANTS = 500;
const LOOP = join(import.meta.dirname, 'bare-loop.mjs');
/** Tenants with rows to be rewritten, and so many in each; the last one has a hundred times as many. */
const UNEVEN = { tenants: 60, rows: 20_000 };

const bench: Bench = {
  title: `rehearse one alter table on each, ${CONCURRENCY} at once, against a bare Node loop that commits it`,
  async run(row) {
    const fleet = await startMigratedFleet(TENANTS);
    let number = 0;
    /** Each time another migration; what came before is applied, outside of what is measured. */
    const write = async (sql: string): Promise<void> => {
      number += 1;
      const name = `20300101000000${String(number).padStart(3, '0')}_alter`;
      await writeFile(join(fleet.cwd, `migrations/core/${name}.sql`), sql);
    };
    const run = async <R>(...args: string[]): Promise<R> =>
      JSON.parse(await mpm([...args, '--json'], fleet)) as R;
    const loop = (): Promise<string> => {
      number += 1;
      const sql = `begin; alter table meter_1 add column extra_${number} text; commit`;
      const args = [urlOf(fleet.server, 't'), String(TENANTS), String(CONCURRENCY), sql];
      return program(process.execPath, [LOOP, ...args]);
    };
    /** How far a forecast is from what the run then takes, in whichever direction. */
    const factor = async (...selection: string[]): Promise<number> => {
      const { forecast } = await run<RehearseReport>('rehearse', ...selection, '--lock-limit', '5min');
      const { durationMs } = await run<RunReport>('up', ...selection);
      const ratio = (forecast?.durationMs ?? 0) / durationMs;
      return Math.max(ratio, 1 / ratio);
    };
    try {
      await write('alter table customer_0 add column rehearsed text;\n');
      await row(`P14: ${TENANTS} tenants`, {
        limit: 1.3,
        floor: loop,
        ours: () => run('rehearse', '--all'),
      });
      const one = async () => 1;
      await row(`forecast, ${TENANTS} tenants alike`, {
        limit: 2,
        unit: 'factor',
        floor: one,
        ours: async () => {
          await write(`alter table customer_0 add column more_${number} text;\n`);
          return factor('--all');
        },
      });
      for (let id = 1; id <= UNEVEN.tenants; id++) {
        const rows = UNEVEN.rows * (id === UNEVEN.tenants ? 100 : 1);
        await fleet.query(
          `create table load as select n, n::text as note from generate_series(1, ${rows}) n`,
          `t${id}`,
        );
      }
      await fleet.query('checkpoint');
      let wide = false;
      await row(`forecast, ${UNEVEN.tenants} tenants, one a hundred times the others`, {
        limit: 2,
        unit: 'factor',
        floor: one,
        ours: async () => {
          wide = !wide;
          await write(`alter table load alter n type ${wide ? 'bigint' : 'int'};\n`);
          return factor('--tenant', `1..${UNEVEN.tenants}`);
        },
      });
    } finally {
      await fleet.stop();
    }
  },
};

export default bench;
