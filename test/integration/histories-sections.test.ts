import { describe, expect, test } from 'vitest';
import { withDatabases } from '../helpers/database.ts';
import { withConnection } from '../../src/postgres/connect.ts';
import { backendDoing, down, historyOf, migrations, rowsIn, up, withFolders } from '../helpers/engine.ts';

const databases = withDatabases();
withFolders();

const FUNCTION = `CREATE FUNCTION one() RETURNS int AS $$
BEGIN
  RETURN 1;
END;
$$ LANGUAGE plpgsql`;

const tablesIn = (url: string) =>
  rowsIn<{ t: string }>(
    url,
    "select tablename as t from pg_tables where schemaname = 'public' order by 1",
  ).then((rows) => rows.map(({ t }) => t));

test.each<[string, string, string]>([
  [
    'goose',
    `-- +goose Up\nCREATE TABLE a (i int);\n-- +goose StatementBegin\n${FUNCTION}\n-- +goose StatementEnd\nCREATE TABLE b (i int default one());\n-- +goose Down\nDROP TABLE b;\nDROP TABLE a;\nDROP FUNCTION one;\n`,
    `-- +goose NO TRANSACTION\n-- +goose Up\nCREATE INDEX CONCURRENTLY a_i ON a (i);\n-- +goose Down\nDROP INDEX CONCURRENTLY a_i;\n`,
  ],
  [
    'sql-migrate',
    `-- +migrate Up\nCREATE TABLE a (i int);\n-- +migrate StatementBegin\n${FUNCTION}\n-- +migrate StatementEnd\nCREATE TABLE b (i int default one());\n-- +migrate Down\nDROP TABLE a, b;\nDROP FUNCTION one;\n`,
    `-- +migrate Up notransaction\nCREATE INDEX CONCURRENTLY a_i ON a (i);\n-- +migrate Down notransaction\nDROP INDEX CONCURRENTLY a_i;\n`,
  ],
  [
    'node-pg-migrate',
    `-- Up Migration\nCREATE TABLE a (i int);\nCREATE TABLE b (i int);\n-- Down Migration\nDROP TABLE a, b;\n`,
    `-- Up Migration\nCREATE INDEX a_i ON a (i);\n-- Down Migration\nDROP INDEX a_i;\n`,
  ],
  [
    'dbmate',
    `-- migrate:up\nCREATE TABLE a (i int);\nCREATE TABLE b (i int);\n-- migrate:down\nDROP TABLE a, b;\n`,
    `-- migrate:up transaction:false\nCREATE INDEX CONCURRENTLY a_i ON a (i);\n-- migrate:down\nDROP INDEX a_i;\n`,
  ],
  [
    'tern',
    `CREATE TABLE a (i int);\nCREATE TABLE b (i int);\n\n---- create above / drop below ----\n\nDROP TABLE a, b;\n`,
    `---- tern: disable-tx ----\nCREATE INDEX CONCURRENTLY a_i ON a (i);\n---- create above / drop below ----\nDROP INDEX a_i;\n`,
  ],
  [
    'liquibase',
    `--liquibase formatted sql\n--changeset me:1 splitStatements:false\nCREATE TABLE a (i int);\n--rollback DROP TABLE a;\nCREATE TABLE b (i int);\n--rollback DROP TABLE b;\n`,
    `--liquibase formatted sql\n--changeset me:2 runInTransaction:false\nCREATE INDEX CONCURRENTLY a_i ON a (i);\n--rollback DROP INDEX a_i;\n`,
  ],
])('histories 5: %s goes up, down, and up again', async (_tool, first, second) => {
  const { url } = await databases.create();
  const set = await migrations({ '1_tables.sql': first, '2_index.sql': second });
  const both = ['1_tables applied', '2_index applied'];
  for (const again of [false, true]) {
    const { error } = await up(url, set);
    expect(error).toBeUndefined();
    expect(await historyOf(url)).toEqual(both);
    expect(await tablesIn(url)).toEqual(['a', 'b']);
    if (again) break;
    const back = await down(url, set, { to: '0' });
    expect(back.error).toBeUndefined();
    expect(await tablesIn(url)).toEqual([]);
  }
});

describe('engine 41: what PostgreSQL refuses in a transaction', () => {
  test('needs no marker; the row counts its statements, and a failure is resumed', async () => {
    const { url } = await databases.create();
    const files = {
      '1_t.sql': 'create table t (id int);',
      '2_index.sql':
        'alter table t add column n int;\ncreate index concurrently t_n on t (n);\nselect wrong;\nvacuum t;',
    };
    const failed = await up(url, await migrations(files));
    expect(failed.error).toMatchObject({
      aftermath: 'it stopped at statement 3 of 4; earlier work was kept',
    });
    const mended = await migrations({ ...files, '2_index.sql': files['2_index.sql'].replace('wrong', '1') });
    const { error } = await up(url, mended, { force: true });
    expect(error).toBeUndefined();
    expect(
      await rowsIn(url, "select state, statements as of from mpm_migrate.history where name = '2_index'"),
    ).toEqual([{ state: 'applied', of: 4 }]);
    // A marker that is put in later changes nothing that the history could hold against it, nor does it lose one.
    const [sum] = mended.migrations.slice(-1).map(({ checksum }) => checksum);
    expect(await rowsIn(url, "select checksum as c from mpm_migrate.history where name = '2_index'")).toEqual(
      [{ c: sum }],
    );
  });

  test('blocks of its own are transactions of their own there, each with its progress', async () => {
    const { url } = await databases.create();
    const text = `-- +migrate Up notransaction
create table t (i int primary key, p int references t deferrable initially deferred);
-- +migrate StatementBegin
BEGIN;
insert into t values (1), (2);
savepoint s;
insert into t values (3);
rollback to savepoint s;
lock table t;
COMMIT;
-- +migrate StatementEnd
create index concurrently t_i on t (p);
BEGIN;
insert into t values (4);
insert into t values (5, 99);
COMMIT;
create index concurrently t_j on t (i);
-- +migrate Down
`;
    const failed = await up(url, await migrations({ '1_a.sql': text }));
    expect(failed.error).toMatchObject({
      message: expect.stringContaining('violates foreign key constraint'),
      aftermath: 'it stopped at statement 4 of 5; earlier work was kept',
    });
    expect(await rowsIn(url, 'select i from t order by i')).toEqual([{ i: 1 }, { i: 2 }]);
    const wrong = text.replace('(5, 99)', '(1)');
    const second = await up(url, await migrations({ '1_a.sql': wrong }), { force: true });
    expect(second.error?.excerpt).toMatchObject({ line: 15 });
    const mended = await migrations({ '1_a.sql': text.replace('(5, 99)', '(5, 1)') });
    expect((await up(url, mended, { force: true })).error).toBeUndefined();
    expect(await rowsIn(url, 'select count(*)::int as n from t')).toEqual([{ n: 4 }]);
    expect(await historyOf(url)).toEqual(['1_a applied']);
  });

  const PROCEDURE = 'create procedure p() language plpgsql as $$ begin commit; end $$;';

  test.each([
    [
      'call p();',
      '-- migrate:up transaction:false as the first line',
      '-- migrate:up transaction:false\ncall p();',
    ],
    [
      '-- migrate:up\ncall p();',
      'transaction:false behind -- migrate:up',
      '-- migrate:up transaction:false\ncall p();',
    ],
    [
      'do $$ begin commit; end $$;',
      '-- migrate:up transaction:false as the first',
      '-- migrate:up transaction:false\ndo $$ begin commit; end $$;',
    ],
    [
      '-- +goose Up\ncall p();',
      '-- +goose NO TRANSACTION on a line',
      '-- +goose NO TRANSACTION\n-- +goose Up\ncall p();',
    ],
    [
      '-- +migrate Up\ncall p();',
      'notransaction behind -- +migrate Up',
      '-- +migrate Up notransaction\ncall p();',
    ],
    [
      'create table q (i int) partition by list (i); reindex table q;',
      'transaction:false as the first line',
      '-- migrate:up transaction:false\ncreate table q (i int) partition by list (i); reindex table q;',
    ],
  ])('%j: what cannot be seen is told to need the marker, and runs with it', async (text, hint, mended) => {
    const { url } = await databases.create();
    const { error } = await up(url, await migrations({ '1_p.sql': PROCEDURE, '2_a.sql': text }));
    expect(error?.hint).toContain(hint);
    expect(error?.aftermath).toContain('rolled back');
    expect(await up(url, await migrations({ '1_p.sql': PROCEDURE, '2_a.sql': mended }))).toMatchObject({
      applied: [{ name: '2_a' }],
    });
  });

  test('in a module, or a function, the hint is another one', async () => {
    const { url } = await databases.create();
    const module = await migrations({
      '1_a.mjs': "import { sql } from 'kysely';\nexport const up = (db) => sql`vacuum`.execute(db);\n",
    });
    expect((await up(url, module)).error?.hint).toMatch(
      /write export const config = \{ transaction: false \}/,
    );
    const block = await migrations({ '1_a.sql': "do $$ begin execute 'vacuum'; end $$;" });
    expect((await up(url, block)).error?.hint).toMatch(/inside a function or a DO block/);
  });
});

describe('engine 42: modes of the transaction', () => {
  const level = "insert into seen values (current_setting('transaction_isolation'));";

  test.each([
    ['begin; set transaction isolation level repeatable read; %; commit;', 'repeatable read'],
    ['begin isolation level serializable; % commit;', 'serializable'],
    ['START TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ WRITE, DEFERRABLE;\n% COMMIT;', 'serializable'],
    ['set transaction isolation level serializable; %', 'serializable'],
    [
      'set local work_mem = 65536; set local transaction isolation level repeatable read; %',
      'repeatable read',
    ],
    [
      'begin isolation level serializable; set transaction isolation level read committed; % commit;',
      'read committed',
    ],
    ['-- +goose Up\nbegin isolation level serializable; % commit;', 'serializable'],
  ])('%j', async (text, expected) => {
    const { url } = await databases.create();
    const files = {
      '1_t.sql': 'create table seen (level text);',
      '2_a.sql': text.replace('%', level),
      '3_b.sql': level,
      '4_c.sql': `-- migrate:up\nselect 1;\n-- migrate:down\n${text.replace('-- +goose Up\n', '').replace('%', level)}`,
    };
    const set = await migrations(files);
    const { error } = await up(url, set);
    expect(error).toBeUndefined();
    const back = await down(url, set, { steps: 1 } as never);
    expect(back.error).toBeUndefined();
    const seen = await rowsIn<{ level: string }>(url, 'select level from seen');
    expect(seen.map((row) => row.level)).toEqual([expected, 'read committed', expected]);
  });

  test('a runner whose snapshot is older than what another has applied applies nothing twice', async () => {
    const { url } = await databases.create();
    const set = await migrations({
      '1_t.sql': 'create table t (i int); create sequence s;',
      '2_a.sql': `begin isolation level serializable; insert into t select nextval('s'); select pg_sleep(0.3); commit;`,
      '3_b.sql': `begin isolation level repeatable read; insert into t select nextval('s'); commit;`,
    });
    const attempts = await Promise.all(Array.from({ length: 6 }, () => up(url, set)));
    expect(attempts.map(({ error }) => error)).toEqual(attempts.map(() => undefined));
    // What is rolled back leaves its mark in a sequence.
    expect(await rowsIn(url, 'select count(*)::int as rows, max(i) as last from t')).toEqual([
      { rows: 2, last: 2 },
    ]);
  });

  test('a conflict is one that passes: the next attempt goes through', async () => {
    const { url } = await databases.create();
    const files = { '1_t.sql': 'create table t (i int); insert into t values (1);' };
    await up(url, await migrations(files));
    const set = await migrations({
      ...files,
      '2_a.sql':
        '-- migrate:up lock_timeout:0\nbegin isolation level repeatable read; select pg_advisory_xact_lock(42); update t set i = i + 10; commit;',
    });
    const other = { url, applicationName: 'other', connectTimeout: 5000 };
    const applying = await withConnection(other, async (connection) => {
      await connection.raw('select pg_advisory_lock(42)');
      const attempt = up(url, set);
      await backendDoing(url, "wait_event = 'advisory'");
      await connection.raw('update t set i = i + 1; select pg_advisory_unlock(42)');
      return { attempt };
    });
    expect(await applying.attempt).toMatchObject({
      outcome: 'failed',
      retryable: true,
      error: { database: { code: '40001' }, aftermath: 'the migration was rolled back' },
    });
    expect((await up(url, set)).error).toBeUndefined();
    expect(await rowsIn(url, 'select i from t')).toEqual([{ i: 12 }]);
  });

  test('a table of ours that somebody holds is waited for, and named', async () => {
    const { url } = await databases.create();
    const files = { '1_t.sql': 'create table t (i int);' };
    await up(url, await migrations(files));
    const set = await migrations({
      ...files,
      '2_a.sql': 'begin isolation level serializable; select 1; commit;',
    });
    const other = { url, applicationName: 'other', connectTimeout: 5000 };
    const failed = await withConnection(other, async (connection) => {
      await connection.raw('begin; lock table mpm_migrate.history in row exclusive mode');
      return up(url, set);
    });
    expect(failed).toMatchObject({
      outcome: 'failed',
      retryable: true,
      error: { database: { code: '55P03' } },
    });
    expect((await up(url, set)).error).toBeUndefined();
  });
});
