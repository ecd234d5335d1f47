import { describe, expect, test } from 'vitest';
import { readMigrations } from '../../src/engine/source/source.ts';
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
        aftermath: 'it stopped at statement 3 of 4; earlier work was kept',
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

describe('engine 59: a resumed migration has the session that it made', () => {
  test('SET, set_config and SET ROLE of the statements that are done hold for the next one', async () => {
    const { url, name } = await databases.create();
    const owner = `${name}_owner`;
    await rowsIn(
      url,
      `create role ${owner}; create schema app authorization ${owner}; create table app.t (i int); create table public.t (i int);
alter table app.t owner to ${owner}; insert into app.t values (1), (1)`,
    );
    try {
      const set = await migrations({
        '1_index.sql': `${OUTSIDE}set search_path = public;
select set_config('search_path', 'app', false);
set role ${owner};
create table made (i int);
create unique index concurrently t_i on t (i);
create table behind (i int);`,
      });
      expect(await up(url, set, { allowNonEmpty: true })).toMatchObject({
        outcome: 'failed',
        error: { aftermath: expect.stringContaining('statement 5 of 6') as string },
      });
      await rowsIn(url, 'delete from app.t where ctid = (select min(ctid) from app.t)');
      expect(await up(url, set, { only: '1_index', resume: 'retry' })).toMatchObject({ outcome: 'migrated' });
      expect(
        await rowsIn(
          url,
          `select c.oid::regclass::text as name, pg_get_userbyid(relowner) = '${owner}' as own, coalesce(indisvalid, true) as valid
from pg_class c left join pg_index on indexrelid = c.oid where relname in ('t_i', 'made', 'behind') order by 1`,
        ),
      ).toEqual(
        ['app.behind', 'app.made', 'app.t_i'].map((each) => ({ name: each, own: true, valid: true })),
      );
    } finally {
      await rowsIn(url, `drop schema app cascade; drop role ${owner}`);
    }
  });

  test.each([
    ['create temp table scratch as select 1 as i', 'the temporary relation scratch, of its statement 1,'],
    ['select 1 as i into temp scratch', 'the temporary relation scratch, of its statement 1,'],
    ['prepare p as select 1', 'the prepared statement p, of its statement 1,'],
    [`do $$ begin set role postgres; end $$`, 'what a DO block made of the session, of its statement 1,'],
    [`select set_config('a.b', now()::text, false)`, 'what a query set with set_config, of its statement 1,'],
  ])('what cannot be made again is refused by name: %s', async (statement, said) => {
    const { url } = await databases.create();
    const set = await migrations({
      '1_x.sql': `${OUTSIDE}${statement};\nselect 1 / (select count(*) from pg_class where relname = 'there');`,
    });
    expect(await up(url, set)).toMatchObject({ outcome: 'failed' });
    await rowsIn(url, 'create table there ()');
    const refused = await up(url, set, { only: '1_x', resume: 'retry' });
    expect(refused).toMatchObject({ outcome: 'refused', error: { code: 'PLAN_REFUSED' } });
    expect(refused.error?.message).toContain(said);
    expect(await progressOf(url, '1_x')).toMatchObject({ state: 'failed', done: 1 });
  });

  test('what was dropped again, and what held for a transaction, is not missed', async () => {
    const { url } = await databases.create();
    const set = await migrations({
      '1_x.sql': `${OUTSIDE}create temp table scratch (i int);\ndrop table scratch;\nset local search_path = nowhere;\nselect 1 / (select count(*) from pg_class where relname = 'there');`,
    });
    expect(await up(url, set)).toMatchObject({ outcome: 'failed' });
    await rowsIn(url, 'create table there ()');
    expect(await up(url, set, { only: '1_x', resume: 'retry' })).toMatchObject({ outcome: 'migrated' });
  });
});

test('engine 62: what our parser refuses is asked of the server, before anything is run', async () => {
  const { url } = await databases.create();
  const script = (text: string) =>
    migrations({ '1_x.sql': `${OUTSIDE}create table before (i int);\n${text}` });
  const [{ version }] = (await rowsIn(
    url,
    "select current_setting('server_version_num')::int / 10000 as version",
  )) as [{ version: number }];
  // The server continues a string behind a comment, and an older one does not know a newer one's words.
  const other = `create table more (a text default 'a' -- x\n 'b'${version < 16 ? ', system_user text' : ''});`;
  const wrong = await up(url, await script(`${other}\nselect 1 frm x;`));
  expect(wrong).toMatchObject({
    outcome: 'failed',
    error: { code: 'MIGRATION_INVALID', excerpt: { line: 5 } },
  });
  expect(await rowsIn(url, "select from pg_class where relname = 'before'")).toEqual([]);
  expect(await up(url, await script(other))).toMatchObject({ outcome: 'migrated' });
  expect(await rowsIn(url, "select from pg_class where relname = 'more'")).toHaveLength(1);
});
