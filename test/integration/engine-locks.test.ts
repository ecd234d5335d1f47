import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { withRetries, attemptUp } from '../../src/engine/apply/migrate.ts';
import { lockAttempt, lockGuardShared, tryLock, tryLockShared } from '../../src/engine/history/lock-sql.ts';
import { withConnection } from '../../src/postgres/connect.ts';
import { withDatabases } from '../helpers/database.ts';
import { backendDoing, historyOf, migrations, rowsIn, up, withFolders } from '../helpers/engine.ts';
import { OPTIONS, targetOf } from '../helpers/options.ts';

const databases = withDatabases();
withFolders();

const FILES = { '1_t.sql': 'create table t (id int);', '2_alter.sql': 'alter table t add column note text;' };

/** Holds a lock on t until it is told to end, as a reader that takes its time does. */
async function readSlowly(url: string): Promise<{ end(): Promise<unknown> }> {
  let end = (): void => undefined;
  const ended = new Promise<void>((resolve) => (end = resolve));
  const reading = withConnection(
    { url, applicationName: 'slow-report', connectTimeout: 5000 },
    async (connection) => {
      await connection.raw('begin; lock table t in access share mode');
      await ended;
      await connection.raw('commit');
    },
  );
  await backendDoing(url, "application_name = 'slow-report' and state = 'idle in transaction'");
  return {
    end: () => {
      end();
      return reading;
    },
  };
}

async function withTable(): Promise<string> {
  const { url } = await databases.create();
  await up(url, await migrations({ '1_t.sql': FILES['1_t.sql'] }));
  return url;
}

test('engine 16 and 18: a table lock that cannot be had ends the attempt, names the holder, and may be tried again', async () => {
  const url = await withTable();
  const reader = await readSlowly(url);
  const result = await up(url, await migrations(FILES));
  expect(result).toMatchObject({
    outcome: 'failed',
    retryable: true,
    error: { database: { code: '55P03' }, excerpt: { line: 1 } },
  });
  expect(result.error?.message).toMatch(
    /held by pid \d+, "slow-report" as \w+, idle in transaction since .* UTC: .*lock table t/,
  );
  expect(result.error?.hint).toContain('pg_terminate_backend');
  await reader.end();
});

test('engine 18: with retries it is applied once the lock is free', async () => {
  const url = await withTable();
  const set = await migrations(FILES);
  const reader = await readSlowly(url);
  const options = { ...OPTIONS, pace: { ...OPTIONS.pace, retries: 10, lockTimeout: 300 } };
  let attempts = 0;
  const result = await withRetries(options, async () => {
    attempts += 1;
    if (attempts === 2) await reader.end();
    return attemptUp(targetOf(url), set, options);
  });
  expect(result).toMatchObject({ outcome: 'migrated', applied: [{ name: '2_alter' }], attempts: 2 });
});

test('engine 18: a reader behind a waiting ALTER is not delayed for longer than lock_timeout', async () => {
  const url = await withTable();
  const set = await migrations(FILES);
  const reader = await readSlowly(url);
  const options = { ...OPTIONS, pace: { ...OPTIONS.pace, retries: 20, lockTimeout: 400 } };
  const seen = { attempts: 0 };
  const running = withRetries(options, () => {
    seen.attempts += 1;
    return attemptUp(targetOf(url), set, options);
  });
  let longest = 0;
  await withConnection({ url, applicationName: 'test-helper', connectTimeout: 5000 }, async (connection) => {
    // Far more than the ALTER waits, far less than it would if nothing ended its waiting.
    await connection.raw("set lock_timeout = '20s'");
    while (seen.attempts < 4) {
      const since = performance.now();
      await connection.raw('select count(*) from t');
      longest = Math.max(longest, performance.now() - since);
      await sleep(5);
    }
  });
  await reader.end();
  expect(await running).toMatchObject({ outcome: 'migrated' });
  // It did stand in the way, and no reader was turned away.
  expect(longest).toBeGreaterThan(100);
}, 60_000);

test('engine 18: times of the file win over those of the run; 0 means none', async () => {
  const { url } = await databases.create();
  const set = await migrations({
    '1_a.sql':
      "-- migrate:up lock_timeout:7s statement_timeout:3s\ncreate table a as select current_setting('lock_timeout') as lock, current_setting('statement_timeout') as statement, current_setting('idle_in_transaction_session_timeout') as idle;",
    '2_b.sql':
      "insert into a select current_setting('lock_timeout'), current_setting('statement_timeout'), current_setting('idle_in_transaction_session_timeout');",
    '3_slow.sql': '-- migrate:up statement_timeout:100ms\nselect pg_sleep(5);',
  });
  const role = new URL(url).username;
  await rowsIn(
    url,
    `alter role "${role}" in database "${new URL(url).pathname.slice(1)}" set statement_timeout = '50s'`,
  );
  const result = await up(url, set);
  expect(await rowsIn(url, 'select * from a')).toEqual([
    { lock: '7s', statement: '3s', idle: '1min' },
    { lock: '1s', statement: '0', idle: '1min' },
  ]);
  expect(result).toMatchObject({
    outcome: 'failed',
    retryable: false,
    error: { database: { code: '57014' }, migration: '3_slow' },
  });
  expect(await historyOf(url)).toHaveLength(2);
});

test('engine 18: a deadlock is tried again', async () => {
  const { url } = await databases.create();
  await up(url, await migrations({ '1_t.sql': 'create table x (id int); create table y (id int);' }));
  const set = await migrations({
    '1_t.sql': 'create table x (id int); create table y (id int);',
    '2_both.sql': '-- migrate:up lock_timeout:0\nlock table x; select pg_sleep(0.5); lock table y;',
  });
  const other = withConnection(
    { url, applicationName: 'other', connectTimeout: 5000 },
    async (connection) => {
      await connection.raw("begin; set local deadlock_timeout = '60s'; lock table y");
      await backendDoing(url, "wait_event = 'PgSleep'");
      await connection.raw('lock table x; commit');
    },
  );
  const options = { ...OPTIONS, pace: { ...OPTIONS.pace, retries: 5 } };
  const result = await withRetries(options, () => attemptUp(targetOf(url), set, options));
  expect(result).toMatchObject({ outcome: 'migrated' });
  expect(result.attempts).toBeGreaterThan(1);
  await other;
});

test('engine 18: guarded CREATE ROLE of eight tenants at once', async () => {
  const role = `${databases.prefix}shared`;
  const text = `do $$ begin if not exists (select from pg_roles where rolname = '${role}') then perform pg_sleep(0.2); create role ${role}; end if; end $$; grant ${role} to current_user;`;
  const set = await migrations({ '1_role.sql': text });
  const tenants = await Promise.all(Array.from({ length: 8 }, () => databases.create()));
  const options = { ...OPTIONS, pace: { ...OPTIONS.pace, retries: 10 } };
  const results = await Promise.all(
    tenants.map(({ url }) => withRetries(options, () => attemptUp(targetOf(url), set, options))),
  );
  await databases.query(`drop role ${role}`);
  expect(results.map(({ outcome }) => outcome)).toEqual(Array.from({ length: 8 }, () => 'migrated'));
  expect(Math.max(...results.map(({ attempts }) => attempts))).toBeGreaterThan(1);
});

test('engine 47: a lock that is kept for an attempt keeps everybody else out, and lets its own transactions in', async () => {
  const { url } = await databases.create();
  const { history } = OPTIONS;
  const target = { url, applicationName: 'keeper', connectTimeout: 5000 };
  const had = async (expression: string): Promise<boolean> =>
    (await rowsIn<{ had: boolean }>(url, `select ${expression} as had`))[0]?.had === true;
  const taken = async (statements: readonly string[]): Promise<boolean> =>
    rowsIn(url, ['begin', ...statements].join(';\n')).then(
      () => true,
      () => false,
    );
  const everybody = async () => [
    await taken(lockAttempt(history)),
    await had(tryLock(history)),
    await had(tryLockShared(history)),
  ];
  await withConnection(target, async (keeper) => {
    await keeper.raw(['begin', ...lockAttempt(history)].join(';\n'));
    expect(await everybody()).toEqual([false, false, false]);
    expect(await taken([lockGuardShared(history)])).toBe(true);
    await keeper.raw('rollback');
    expect(await everybody()).toEqual([true, true, true]);
    // A transaction of an attempt whose keeper was lost goes on: nobody comes in beside it.
    await keeper.raw(['begin', lockGuardShared(history)].join(';\n'));
    expect(await everybody()).toEqual([false, false, true]);
  });
});
