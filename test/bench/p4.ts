import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CONCURRENCY, startMigratedFleet, urlOf } from './fleet.ts';
import { mpm, program } from './harness.ts';
import type { Bench } from './harness.ts';

const TENANTS = 500;
const LOOP = join(import.meta.dirname, 'bare-loop.mjs');

const bench: Bench = {
  title: `one alter table on each, ${CONCURRENCY} at once, against a bare Node loop`,
  async run(row) {
    const fleet = await startMigratedFleet(TENANTS);
    let number = 0;
    // Each time another migration, added to the history and its files.
    const alter = async (selection: string[]): Promise<string> => {
      number += 1;
      const file = join(
        fleet.cwd,
        `migrations/core/20300101000000${String(number).padStart(3, '0')}_add.sql`,
      );
      await writeFile(file, `alter table customer_0 add column extra_${number} text;\n`);
      return mpm(['up', ...selection, '--json'], fleet);
    };
    const loop = (): Promise<string> => {
      number += 1;
      const sql = `begin; alter table meter_1 add column extra_${number} text; insert into bare (name) values ('extra_${number}'); commit`;
      const args = [urlOf(fleet.server, 't'), String(TENANTS), String(CONCURRENCY), sql];
      return program(process.execPath, [LOOP, ...args]);
    };
    try {
      const table = 'create table if not exists bare (name text primary key, at timestamptz default now())';
      const args = [urlOf(fleet.server, 't'), String(TENANTS), String(CONCURRENCY), table];
      await program(process.execPath, [LOOP, ...args]);
      await row(`P4: ${TENANTS} tenants`, { limit: 1.2, floor: loop, ours: () => alter(['--all']) });
      const each = async (count: number): Promise<number> => {
        // What earlier runs of fewer tenants left pending is not part of this one.
        await mpm(['up', '--all'], fleet);
        const { durationMs } = JSON.parse(await alter(['--tenant', `1..${count}`])) as { durationMs: number };
        return durationMs / count;
      };
      for (const count of [200, 500]) {
        const pair = { floor: () => each(50), ours: () => each(count), warmUp: 0 };
        await row(`ms per tenant: ${count} tenants against 50`, { limit: 1.1, ...pair });
      }
      await rm(join(fleet.cwd, 'migrations'), { recursive: true });
    } finally {
      await fleet.stop();
    }
  },
};

export default bench;
