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

test('engine 47: one connection holds the lock for all migrations of an attempt, and what lies between them', async () => {
  const files = Array.from({ length: 9 }, (_, index) => [
    `${index + 2}_m.sql`,
    index % 3 === 2 ? `alter table t add c${index} int;` : OUTSIDE + indexOf(index),
  ]);
  expect(await costOf(Object.fromEntries(files) as Record<string, string>)).toMatchObject({ connections: 2 });
});
