import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { haltable } from '../../src/engine/apply/interrupt.ts';
import { lockKeys } from '../../src/engine/history/lock-sql.ts';
import { withConnection } from '../../src/postgres/connect.ts';
import { withDatabases } from '../helpers/database.ts';
import { historyOf, migrations, rowsIn, up, withFolders } from '../helpers/engine.ts';
import { OPTIONS, targetOf } from '../helpers/options.ts';

const databases = withDatabases();
withFolders();

/** So many quick migrations that several of them travel in one message. */
const QUICK = Object.fromEntries(
  Array.from({ length: 12 }, (_, at) => [`${at + 1}_t.sql`, `create table t${at + 1} (id int);`]),
);
const names = (count: number) => Array.from({ length: count }, (_, at) => `${at + 1}_t applied`);

test('P8: quick migrations travel several to a message, each in a transaction and with times of its own', async () => {
  const { url } = await databases.create();
  const result = await up(url, await migrations({ ...QUICK, '13_slow.sql': 'select pg_sleep(1);' }));
  expect(result).toMatchObject({ outcome: 'migrated', to: '13_slow' });
  expect(result.applied.map(({ name }) => name)).toHaveLength(13);
  const [quick = 0, slow = 0] = result.applied.slice(-2).map(({ durationMs }) => durationMs);
  expect(slow).toBeGreaterThanOrEqual(1000);
  expect(quick).toBeLessThan(slow);
  const rows = await rowsIn<{ xid: string; early: boolean; late: boolean; ms: number }>(
    url,
    `select xmin::text as xid, started_at < coalesce(lag(finished_at) over (order by position), started_at) as early,
  finished_at < started_at as late, duration_ms as ms from mpm_migrate.history order by position`,
  );
  expect(new Set(rows.map(({ xid }) => xid)).size).toBe(13);
  expect(rows.some(({ early, late, ms }) => early || late || ms < 0)).toBe(false);
  expect(rows.at(-1)?.ms).toBeGreaterThanOrEqual(200);
});

test('engine 1: what fails in the middle of a message keeps those before it, and its place in its file', async () => {
  const { url } = await databases.create();
  const bad = { '9_t.sql': 'create table t9 (id int);\n\nselect 1 / 0;\ncreate table never (id int);' };
  const result = await up(url, await migrations({ ...QUICK, ...bad }));
  expect(result).toMatchObject({
    outcome: 'failed',
    to: '8_t',
    error: {
      code: 'MIGRATION_FAILED',
      migration: '9_t',
      aftermath: 'the migration was rolled back',
      excerpt: { line: 3, column: 1 },
    },
  });
  expect(result.applied.map(({ name }) => `${name} applied`)).toEqual(names(8));
  expect(await historyOf(url)).toEqual(names(8));
  expect(await up(url, await migrations(QUICK))).toMatchObject({
    outcome: 'migrated',
    from: '8_t',
    to: '12_t',
  });
});

test('engine 31: what the server cannot read in a message keeps no other migration of it from being applied', async () => {
  const { url } = await databases.create();
  const bad = { '9_t.sql': '-- ü😀\ncreate table t9 (id int);\ncreate tabel never (id int);' };
  const result = await up(url, await migrations({ ...QUICK, ...bad }));
  expect(result).toMatchObject({
    outcome: 'failed',
    to: '8_t',
    error: { migration: '9_t', database: { code: '42601' }, excerpt: { line: 3, column: 8 } },
  });
  expect(await historyOf(url)).toEqual(names(8));
});

test('engine 5, 49: no commit hides in a string, whatever strings the database says it has', async () => {
  const { url } = await databases.create();
  // To who reads it, the commit is within a string; to a server with strings of the old kind it would not be.
  const trick = String.raw`select 'x\''; commit; select 'y' --'`;
  await rowsIn(
    url,
    `alter database "${new URL(url).pathname.slice(1)}" set standard_conforming_strings = off`,
  );
  const set = await migrations({ ...QUICK, '9_t.sql': trick });
  const result = await up(url, set);
  expect(result).toMatchObject({
    outcome: 'failed',
    to: '8_t',
    error: { code: 'MIGRATION_FAILED', migration: '9_t', database: { code: '42601' } },
  });
  expect(await historyOf(url)).toEqual(names(8));
});

test('engine 12: another runner in the moment between look and message is no error, and nothing is kept twice', async () => {
  const { url } = await databases.create();
  const table = { '1_t.sql': 'create table t (id int);' };
  const insert = { '2_insert.sql': 'insert into t values (1);' };
  for (const files of [table, { ...table, ...insert }]) {
    const set = await migrations(files);
    let other: unknown;
    const late = await up(url, set, {
      stampInput: async () => {
        other ??= await up(url, set);
        return undefined;
      },
    });
    expect(other).toMatchObject({ outcome: 'migrated' });
    expect(late).toMatchObject({ outcome: 'current', applied: [] });
    expect(late.error).toBeUndefined();
  }
  expect(await rowsIn(url, 'select id from t')).toEqual([{ id: 1 }]);
  expect(await historyOf(url)).toEqual(['1_t applied', '2_insert applied']);
});

test('engine 13: what waits for the lock to end a message does not outlive the message, whoever has the lock', async () => {
  const { url } = await databases.create();
  await rowsIn(url, 'create table t (id int)');
  const stop = new AbortController();
  const waiting = async () =>
    (
      await rowsIn(
        url,
        "select from pg_stat_activity where wait_event = 'advisory' and datname = current_database()",
      )
    ).length === 1;
  const other = { url, applicationName: 'another runner', connectTimeout: 5000 };
  await withConnection(other, async (connection) => {
    await connection.raw(
      `begin isolation level read committed; select pg_advisory_xact_lock(${lockKeys(OPTIONS.history).join(', ')})`,
    );
    await haltable(targetOf(url), OPTIONS.history, stop.signal, async () => {
      stop.abort();
      while (!(await waiting())) await sleep(10);
    });
    expect(await waiting()).toBe(false);
    // It would wait for the waiter's snapshot, and the waiter for the lock that its runner holds.
    await rowsIn(url, 'create index concurrently on t (id)');
    await connection.query('rollback');
  });
});
