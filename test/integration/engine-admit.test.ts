import { expect, test } from 'vitest';
import { MpmError } from '../../src/errors.ts';
import { editHistory } from '../../src/engine/edit/edit-history.ts';
import { tryLock } from '../../src/engine/history/lock-sql.ts';
import { withDatabases } from '../helpers/database.ts';
import { down, historyOf, migrations, rowsIn, up, withFolders } from '../helpers/engine.ts';
import { OPTIONS, targetOf } from '../helpers/options.ts';

const databases = withDatabases();
withFolders();

const FILES = {
  '1_a.sql': '-- migrate:up\ncreate table a (id int);\n-- migrate:down\ndrop table a;',
  '2_b.ts':
    "import { sql } from 'kysely';\nexport const up = (db) => sql`create table b (id int)`.execute(db);\nexport const down = (db) => sql`drop table b`.execute(db);",
  '3_c.sql': '-- migrate:up transaction:false\ncreate index concurrently c on a (id);',
};

const no = async (): Promise<never> => {
  throw new MpmError('TENANT_STATUS', 'not any more');
};

/** As if the last one had never been applied. */
const FORGET_LAST = `delete from mpm_migrate.history where name = '3_c';
do $$ begin execute format('comment on database %I is null', current_database()); end $$`;

test('fleet 34: somebody is asked under the lock before anything is written, in each way of writing', async () => {
  const { url } = await databases.create();
  const free: boolean[] = [];
  const admit = async () => {
    const [row] = await rowsIn<{ free: boolean }>(url, `select ${tryLock(OPTIONS.history)} as free`);
    free.push(row?.free ?? true);
  };
  const set = await migrations(FILES);
  expect(await up(url, set, { admit })).toMatchObject({ outcome: 'migrated', to: '3_c' });
  // Creating the history, and each of the three.
  expect(free).toEqual([false, false, false, false]);
  const { '3_c.sql': _, ...others } = FILES;
  await rowsIn(url, FORGET_LAST);
  expect(await down(url, await migrations(others), { admit, steps: 2 })).toMatchObject({
    outcome: 'reverted',
  });
  expect(free).toEqual(Array(6).fill(false));
});

test('fleet 34: who is not admitted any more leaves nothing behind, not even a history', async () => {
  const { url } = await databases.create();
  const set = await migrations(FILES);
  const error = { code: 'TENANT_STATUS', message: 'not any more' };
  expect(await up(url, set, { admit: no })).toMatchObject({ outcome: 'failed', applied: [], error });
  expect(await rowsIn(url, "select 1 from pg_namespace where nspname = 'mpm_migrate'")).toEqual([]);
  await up(url, await migrations({}), {});
  for (const [to, head] of [
    ['1', []],
    ['2', ['1_a applied']],
    ['3', ['1_a applied', '2_b applied']],
  ] as const) {
    expect(await up(url, set, { admit: no, to })).toMatchObject({ outcome: 'failed', applied: [], error });
    expect(await historyOf(url)).toEqual(head);
    await up(url, set, { to });
  }
  const { '3_c.sql': _, ...others } = FILES;
  await rowsIn(url, FORGET_LAST);
  expect(await down(url, await migrations(others), { admit: no })).toMatchObject({
    outcome: 'failed',
    error,
  });
  const forget = editHistory(targetOf(url), { ...OPTIONS, admit: no, write: true }, () => [
    { action: 'forget', name: '2_b', why: 'a test' },
  ]);
  await expect(forget).rejects.toMatchObject(error);
  expect(await historyOf(url)).toEqual(['1_a applied', '2_b applied']);
});

test('engine 31: the place of an error is the same where somebody was asked', async () => {
  const { url } = await databases.create();
  const quick = Object.fromEntries(
    Array.from({ length: 12 }, (_, at) => [`${at + 1}_t.sql`, `create table t${at + 1} (id int);`]),
  );
  const bad = { '9_t.sql': 'create table t9 (id int);\n\nselect 1 / 0;\ncreate table never (id int);' };
  const admit = async () => undefined;
  const result = await up(url, await migrations({ ...quick, ...bad }), { admit });
  expect(result).toMatchObject({
    outcome: 'failed',
    to: '8_t',
    error: { migration: '9_t', excerpt: { line: 3, column: 1 } },
  });
  const typo = { '9_t.sql': 'create table t9 (id int);\n\nselekt 1;' };
  expect(await up(url, await migrations({ ...quick, ...typo }), { admit })).toMatchObject({
    outcome: 'failed',
    error: { migration: '9_t', excerpt: { line: 3, column: 1 }, aftermath: 'the migration was rolled back' },
  });
  expect(await up(url, await migrations(quick), { admit })).toMatchObject({
    outcome: 'migrated',
    to: '12_t',
  });
});
