import { describe, expect, test } from 'vitest';
import { readMigrations } from '../../src/migration/source.ts';
import { withDatabases } from '../helpers/database.ts';
import {
  backendDoing,
  backendsGone,
  down,
  folderOf,
  historyOf,
  migrations,
  rowsIn,
  startRunner,
  up,
  withFolders,
} from '../helpers/engine.ts';

const databases = withDatabases();
withFolders();

const OUTSIDE = '-- migrate:up transaction:false\n';

async function progressOf(url: string, name: string) {
  const [row] = await rowsIn(
    url,
    `select state, statements_done as done, statements as of, error from mpm_migrate.history where name = '${name}'`,
  );
  return row;
}

describe('outside a transaction', () => {
  test('engine 9: statements are sent one at a time, CREATE INDEX CONCURRENTLY among them', async () => {
    const { url } = await databases.create();
    const set = await migrations({
      '1_table.sql': 'create table "tâble 🙂" (id int, note text);',
      '2_index.sql': `${OUTSIDE}-- é 🙂; not a statement\ncreate index concurrently i1 on "tâble 🙂" (id);\ncreate index concurrently i2 on "tâble 🙂" (note);;\nvacuum "tâble 🙂";\ndo $$ begin commit; end $$;\n`,
    });
    const result = await up(url, set);
    expect(result.error).toBeUndefined();
    expect(await progressOf(url, '2_index')).toEqual({ state: 'applied', done: 4, of: 4, error: null });
    expect(
      await rowsIn(url, "select count(*)::int as n from pg_indexes where indexname in ('i1', 'i2')"),
    ).toEqual([{ n: 2 }]);
  });

  test('engine 10: a failure says at which statement, is refused, and resumes there by force', async () => {
    const { url } = await databases.create();
    const broken = {
      '1_t.sql': 'create table t (id int); insert into t values (1), (1);',
      '2_steps.sql': `${OUTSIDE}insert into t values (2);\ncreate table done_once (id int);\nselect wrong;\ninsert into t values (3);`,
    };
    const failed = await up(url, await migrations(broken));
    expect(failed).toMatchObject({
      outcome: 'failed',
      retryable: false,
      error: {
        code: 'MIGRATION_FAILED',
        aftermath: 'it stopped at statement 3 of 4; what went before was kept',
        excerpt: { line: 4, column: 8 },
      },
    });
    expect(await progressOf(url, '2_steps')).toMatchObject({
      state: 'failed',
      done: 2,
      of: 4,
      error: 'column "wrong" does not exist',
    });

    const mended = await migrations({
      ...broken,
      '2_steps.sql': broken['2_steps.sql'].replace('wrong', '1'),
    });
    const refused = await up(url, mended);
    expect(refused).toMatchObject({ outcome: 'refused', error: { code: 'PLAN_REFUSED' } });
    expect(refused.error?.hint).toMatch(/--force.*resolve 2_steps/s);

    const changed = await migrations({
      ...broken,
      '2_steps.sql': `${OUTSIDE}insert into t values (99);\ncreate table done_once (id int);\nselect 1;`,
    });
    const stale = await up(url, changed, { force: true });
    expect(stale.error?.message).toContain('statement 1 of 2_steps was changed');

    expect(await up(url, mended, { force: true })).toMatchObject({ outcome: 'migrated' });
    expect(await rowsIn(url, 'select id from t order by id')).toEqual([
      { id: 1 },
      { id: 1 },
      { id: 2 },
      { id: 3 },
    ]);
    expect(await progressOf(url, '2_steps')).toEqual({ state: 'applied', done: 4, of: 4, error: null });
  });

  test('engine 10: a first statement that keeps nothing leaves nothing', async () => {
    const { url } = await databases.create();
    const result = await up(url, await migrations({ '1_a.sql': `${OUTSIDE}select wrong;` }));
    expect(result.error).toMatchObject({ aftermath: 'nothing was kept' });
    expect(await historyOf(url)).toEqual([]);
  });

  test('engine 10: kill -9 between two statements leaves interrupted, and the next attempt resumes', async () => {
    const { url } = await databases.create();
    const folder = await folderOf({
      '1_t.sql': 'create table t (id int);',
      '2_steps.sql': `${OUTSIDE}insert into t values (1);\ninsert into t select 2 from pg_sleep(1.5);\ninsert into t values (3);`,
    });
    const runner = await startRunner(url, folder);
    await backendDoing(url, "wait_event = 'PgSleep'");
    runner.kill();
    await runner.finished;
    await backendsGone(url);
    const { done, state } = (await progressOf(url, '2_steps')) as { done: number; state: string };
    expect(state).toBe('running');
    // The backend finished its message, statement and record together.
    expect(done).toBe(2);
    const set = await readMigrations(folder, 'core');
    const refused = await up(url, set);
    expect(refused).toMatchObject({ outcome: 'refused' });
    expect(refused.error?.message).toBe('2_steps was interrupted: it stopped at statement 3 of 3');
    expect(await up(url, set, { force: true })).toMatchObject({ outcome: 'migrated' });
    expect(await rowsIn(url, 'select id from t order by id')).toEqual([{ id: 1 }, { id: 2 }, { id: 3 }]);
  });

  test('engine 11: an invalid index is never recorded as applied, and is dropped before the retry', async () => {
    const { url } = await databases.create();
    const files = {
      '1_t.sql': 'create table t (id int); insert into t values (1), (1);',
      '2_unique.sql': `${OUTSIDE}create unique index concurrently if not exists t_id on t (id);`,
    };
    const set = await migrations(files);
    expect(await up(url, set)).toMatchObject({ outcome: 'failed', error: { database: { code: '23505' } } });
    expect(await rowsIn(url, "select indisvalid from pg_index where indexrelid = 't_id'::regclass")).toEqual([
      { indisvalid: false },
    ]);
    // As somebody would who takes IF NOT EXISTS at its word.
    expect(await up(url, set, { force: true })).toMatchObject({
      outcome: 'failed',
      error: { database: { code: '23505' } },
    });
    await rowsIn(url, 'delete from t where ctid = (select min(ctid) from t)');
    expect(await up(url, set, { force: true })).toMatchObject({ outcome: 'migrated' });
    expect(await rowsIn(url, "select indisvalid from pg_index where indexrelid = 't_id'::regclass")).toEqual([
      { indisvalid: true },
    ]);
  });

  test('engine 12: twenty processes at once run it once', async () => {
    const { url } = await databases.create();
    const folder = await folderOf({
      '1_t.sql': 'create table t (id int);',
      '2_steps.sql': `${OUTSIDE}insert into t values (1);\ncreate index concurrently i on t (id);\nselect pg_sleep(0.3);`,
      '3_after.sql': 'insert into t values (2);',
    });
    const runners = await Promise.all(Array.from({ length: 20 }, () => startRunner(url, folder)));
    const ends = await Promise.all(runners.map(({ finished }) => finished));
    expect(ends.flatMap(({ output }) => (JSON.parse(output) as { error?: string }).error ?? [])).toEqual([]);
    expect(await rowsIn(url, 'select id from t order by id')).toEqual([{ id: 1 }, { id: 2 }]);
    expect(await historyOf(url)).toEqual(['1_t applied', '2_steps applied', '3_after applied']);
  }, 120_000);

  test('engine 14: a concurrent index is built while the lock connection waits, and others are told who holds it', async () => {
    const { url } = await databases.create();
    const set = await migrations({
      '1_t.sql': 'create table t (id int);',
      '2_slow.sql': `${OUTSIDE}select pg_sleep(1.2);\ncreate index concurrently i on t (id);`,
    });
    const running = up(url, set);
    await backendDoing(url, "wait_event = 'PgSleep'");
    const reasons: string[] = [];
    const second = await up(url, set, {
      pace: { ...(await import('../helpers/options.ts')).OPTIONS.pace, lockWait: 200 },
      onWaiting: (reason) => void reasons.push(reason),
    });
    expect(second).toMatchObject({ outcome: 'busy', error: { code: 'BUSY' } });
    expect(second.error?.message).toMatch(/held by pid \d+, "mpm-migrate\/7\/42\/lock"/);
    expect(reasons[0]).toContain('mpm-migrate/7/42/lock');
    expect(await running).toMatchObject({ outcome: 'migrated' });
  });

  test('a module outside a transaction, and down sections', async () => {
    const { url } = await databases.create();
    const set = await migrations({
      '1_t.sql': 'create table t (id int);',
      '2_module.mjs': `import { sql } from 'kysely';
export const config = { transaction: false };
export async function up(db) {
  await db.transaction().execute((trx) => sql\`insert into t values (1)\`.execute(trx));
  await sql\`create index concurrently i on t (id)\`.execute(db);
}
export async function down(db) { await sql\`drop index concurrently i\`.execute(db); }`,
      '3_down.sql': `${OUTSIDE}create index concurrently j on t (id);\n-- migrate:down transaction:false\ndrop index concurrently j;`,
    });
    const result = await up(url, set);
    expect(result.error).toBeUndefined();
    expect(await down(url, set, { steps: 2 })).toMatchObject({ outcome: 'reverted', to: '1_t' });
    expect(await rowsIn(url, "select indexname from pg_indexes where tablename = 't'")).toEqual([]);
    expect(await historyOf(url)).toEqual(['1_t applied']);
  });
});
