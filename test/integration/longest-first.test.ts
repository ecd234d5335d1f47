import { expect, test } from 'vitest';
import type { RunEvent } from '../../src/fleet/events.ts';
import { up } from '../../src/fleet/verbs/up.ts';
import { withDatabases } from '../helpers/database.ts';
import { makeFleet } from '../helpers/fleet.ts';

const databases = withDatabases();

test('confidence 5: who took longest the last time is begun first, in each wave', async () => {
  const fleet = await makeFleet(databases, { count: 6 });
  await up(fleet.config, { all: true });
  await fleet.central(`update mpm_migrate.run_tenants
    set duration_ms = case tenant_id when '4' then 9000 when '2' then 5000 when '6' then 1500 else 1000 end`);
  // Nothing is applied, so nothing is learned.
  await up(fleet.config, { all: true });

  const begun = async (number: number, canary?: number): Promise<RunEvent[]> => {
    await fleet.write({ [`core/${number}_more.sql`]: `create table more_${number} ();` });
    const events: RunEvent[] = [];
    const options = { concurrency: 1, ...(canary === undefined ? {} : { canary }) };
    await up(fleet.config, { all: true }, { ...options, onEvent: (event) => void events.push(event) });
    // What this run took is not what the next one is to know.
    await fleet.central('delete from mpm_migrate.runs where number > 2');
    return events;
  };
  const order = (events: RunEvent[]) =>
    events.flatMap((event) => (event.type === 'tenant-started' ? [event.tenant.id] : []));

  const events = await begun(3);
  expect(order(events)).toEqual(['4', '2', '1', '3', '5', '6']);
  expect(events[0]).toMatchObject({ type: 'run-started', expectedMs: { default: 18_500 } });
  const expected = events.flatMap((event) => (event.type === 'tenant-started' ? [event.expectedMs] : []));
  expect(expected).toEqual([9000, 5000, 1125, 1125, 1125, 1125]);

  const waves = order(await begun(4, 2));
  expect(waves.slice(0, 2)).toEqual(['2', '5']);
  expect(waves.slice(2)).toEqual(['4', '1', '3', '6']);
  expect(order(await begun(5)).slice(0, 2)).toEqual(['4', '2']);

  await fleet.central('update mpm_migrate.run_tenants set duration_ms = 490');
  const equal = await begun(6);
  expect(order(equal)).toEqual(['1', '2', '3', '4', '5', '6']);
  expect(equal[0]).not.toHaveProperty('expectedMs');
});
