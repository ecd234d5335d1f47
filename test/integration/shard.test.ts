import { expect, test } from 'vitest';
import { withCentral } from '../../src/central/central.ts';
import { countTenants, streamTenants } from '../../src/central/list/tenants.ts';
import type { Config } from '../../src/config/define.ts';
import { filterOf } from '../../src/fleet/select.ts';
import { up } from '../../src/fleet/verbs/up.ts';
import { withDatabases } from '../helpers/database.ts';
import { makeFleet } from '../helpers/fleet.ts';

const databases = withDatabases();

async function sizes(config: Config, of: number): Promise<number[]> {
  return withCentral(config, async (central) => {
    const counted: number[] = [];
    for (let index = 1; index <= of; index++) {
      const servers = await countTenants(central, filterOf({ all: true, shard: `${index}/${of}` }));
      counted.push(servers.reduce((sum, { count }) => sum + count, 0));
    }
    return counted;
  });
}

test('fleet 12: slices are disjoint, complete and stable', async () => {
  const fleet = await makeFleet(databases, { count: 0 });
  const tenants = {
    query: "select i as id, 'n' || i as name, 'd' || i as database from generate_series(1, 300) i",
  };
  const slices = await withCentral({ ...fleet.config, tenants }, async (central) => {
    const all: string[][] = [];
    for (const index of [1, 2, 3]) {
      const ids: string[] = [];
      for await (const { id } of streamTenants(central, filterOf({ all: true, shard: `${index}/3` })))
        ids.push(id);
      all.push(ids);
    }
    return all;
  });
  expect(
    slices
      .flat()
      .map(Number)
      .toSorted((a, b) => a - b),
  ).toEqual(Array.from({ length: 300 }, (_, at) => at + 1));
  // By the id alone: what is in a slice does not change with the rest of the fleet, nor with a release.
  expect(slices[0]?.slice(0, 5)).toEqual(['2', '5', '7', '10', '13']);
});

test.each([
  ['bigint', 'i'],
  ['with gaps', 'i * 7 + (i % 3)'],
  ['uuid', 'md5(i::text)::uuid'],
])('fleet 12: at 10,000 tenants slices are equal within 5 %%: ids %s', async (kind, id) => {
  const fleet = await makeFleet(databases, { count: 0 });
  const query = `select ${id} as id, 'n' || i as name, 'd' || i as database from generate_series(1, 10000) i`;
  const config = { ...fleet.config, tenants: { query } };
  for (const of of kind === 'uuid' ? [4] : [4, 8, 16]) {
    const counted = await sizes(config, of);
    expect(counted.reduce((sum, count) => sum + count, 0)).toBe(10_000);
    const fair = 10_000 / of;
    expect(Math.max(...counted.map((count) => Math.abs(count - fair))) / fair).toBeLessThan(0.05);
  }
});

test('fleet 12: two slices make one fleet, and --failed of a slice is within it', async () => {
  const fleet = await makeFleet(databases, { count: 5 });
  const first = await up(fleet.config, { all: true, shard: '1/2' });
  expect(first.selection).toBe('--all --shard 1/2');
  const again = await up(fleet.config, { failed: 'last' });
  expect(again.counts.total).toBe(0);
  const second = await up(fleet.config, { all: true, shard: '2/2' });
  expect(first.counts.migrated + second.counts.migrated).toBe(5);
  expect(first.counts.migrated).toBeGreaterThan(0);
  expect(second.counts.migrated).toBeGreaterThan(0);
});
