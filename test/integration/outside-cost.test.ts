import { expect, test } from 'vitest';
import { withDatabases } from '../helpers/database.ts';
import { migrations, up, withFolders } from '../helpers/engine.ts';
import { startProxy } from '../helpers/proxy.ts';

const databases = withDatabases();
withFolders();

const OUTSIDE = '-- migrate:up transaction:false\n';
const indexOf = (number: number) => `create index concurrently i${number} on t (id);`;

/** What `up` costs in a new database. */
async function costOf(files: Record<string, string>): Promise<{ connections: number; roundTrips: number }> {
  const { url } = await databases.create();
  await using proxy = await startProxy(url);
  const result = await up(
    proxy.through(url),
    await migrations({ '1_t.sql': 'create table t (id int);', ...files }),
  );
  expect(result.error).toBeUndefined();
  const { connections, roundTrips } = proxy.counts;
  return { connections, roundTrips };
}

test('engine 47: a bare statement costs two round trips, and an attempt one connection more', async () => {
  const fileOf = (count: number) => ({
    '2_i.sql': OUTSIDE + Array.from({ length: count }, (_, index) => indexOf(index)).join('\n'),
  });
  const few = await costOf(fileOf(2));
  const many = await costOf(fileOf(12));
  expect(many.roundTrips - few.roundTrips).toBeLessThanOrEqual(20);
  expect([few.connections, many.connections]).toEqual([2, 2]);
});

test('histories 18, engine 47: so do migrations of one bare statement each, and what lies between them costs one round trip', async () => {
  const filesOf = (count: number, textOf: (index: number) => string) =>
    Object.fromEntries(Array.from({ length: count }, (_, index) => [`${index + 2}_m.sql`, textOf(index)]));
  const outside = (index: number) => OUTSIDE + indexOf(index);
  const inTurn = (index: number) => (index % 2 ? `alter table t add c${index} int;` : outside(index));
  for (const [textOf, each] of [
    [outside, 2],
    [inTurn, 1.5],
  ] as const) {
    const few = await costOf(filesOf(2, textOf));
    const many = await costOf(filesOf(12, textOf));
    expect(many.roundTrips - few.roundTrips).toBeLessThanOrEqual(10 * each);
    expect([few.connections, many.connections]).toEqual([2, 2]);
  }
});
