import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { RunEvent } from '../../src/fleet/events.ts';
import { ExpectedWork } from '../../src/ui/progress/expected.ts';
import { addTenants, CONCURRENCY, startFleet } from './fleet.ts';
import { mpm } from './harness.ts';
import type { Bench } from './harness.ts';

const TENANTS = 200;
/** Log-normal: the largest takes thirty times what the middle one does. Ids are in no order of it. */
const TIMES = Array.from({ length: TENANTS }, (_, index) => {
  const share = (((index * 89) % TENANTS) + 0.5) / TENANTS;
  return 500 * Math.exp((Math.log(30) / normal(1 - 0.5 / TENANTS)) * normal(share));
});

/** The quantile of the normal distribution (Tukey's lambda), near enough. */
function normal(share: number): number {
  return 4.91 * (share ** 0.14 - (1 - share) ** 0.14);
}

const bench: Bench = {
  title: `${TENANTS} uneven tenants, ${CONCURRENCY} at once, in a second run`,
  async run(row) {
    const fleet = await startFleet();
    const events = join(fleet.cwd, 'events.ndjson');
    let number = 1;
    const up = async (): Promise<number> => {
      number += 1;
      await writeFile(
        join(fleet.cwd, `migrations/core/${number}_wait.sql`),
        'do $$ begin perform pg_sleep(s) from pace; end $$;\n',
      );
      const report = JSON.parse(await mpm(['up', '--all', '--json', '--events', events], fleet)) as {
        durationMs: number;
      };
      return report.durationMs;
    };
    try {
      await writeFile(join(fleet.cwd, 'migrations/core/1_pace.sql'), 'create table pace (s float8);\n');
      await fleet.query('create database template_tenant');
      await fleet.clone('template_tenant', 't', TENANTS);
      await addTenants(fleet, 't', TENANTS);
      await mpm(['up', '--all'], fleet);
      for (const [index, ms] of TIMES.entries())
        await fleet.query(`insert into pace values (${ms / 1000})`, `t${index + 1}`);
      // The first run, from which the second one knows.
      await up();
      const sum = TIMES.reduce((total, ms) => total + ms, 0);
      const floor = async (): Promise<number> => Math.max(...TIMES, sum / CONCURRENCY);
      await row('the longest, or the sum over the lanes', { limit: 1.1, floor, ours: up, warmUp: 0 });
      await row('the time left: furthest from the truth, of what is allowed', {
        limit: 1,
        unit: 'share',
        floor: async () => 1,
        ours: async () => {
          await up();
          return furthest((await readFile(events, 'utf8')).trim().split('\n'));
        },
        pairs: 3,
        warmUp: 0,
      });
    } finally {
      await fleet.stop();
    }
  },
};

/** From a third of the run on: what would have been said, against what was left. Allowed: 30 %, or 2 s. */
function furthest(lines: readonly string[]): number {
  const events = lines.map((line) => JSON.parse(line) as RunEvent);
  const [first, last] = [events[0], events.at(-1)];
  const end = last?.at ?? 0;
  if (first?.type !== 'run-started' || !first.expectedMs) throw new Error('no time is expected');
  const work = new ExpectedWork(first.expectedMs);
  let worst = 0;
  for (const event of events) {
    work.take(event);
    if (event.at < end / 3) continue;
    const truth = end - event.at;
    const off = Math.abs((work.left(event.at) ?? Infinity) - truth);
    worst = Math.max(worst, off / Math.max(2000, 0.3 * truth));
  }
  return worst;
}

export default bench;
