import { describe, expect, test } from 'vitest';
import { withDatabases } from '../helpers/database.ts';
import { parseStamp } from '../../src/engine/history/stamp.ts';
import { tryLock } from '../../src/engine/history/lock-sql.ts';
import { connect } from '../../src/postgres/connect.ts';
import {
  backendDoing,
  backendsGone,
  down,
  historyOf,
  migrations,
  rowsIn,
  SELECT_FINGERPRINT,
  up,
  withFolders,
} from '../helpers/engine.ts';
import { OPTIONS } from '../helpers/options.ts';

const databases = withDatabases();
withFolders();

const exists = async (url: string, name: string) =>
  (await rowsIn<{ there: boolean }>(url, `select to_regclass('${name}') is not null as there`))[0]?.there;

describe('one migration, one transaction', () => {
  test('applies SQL and TypeScript in order, and records each', async () => {
    const { url } = await databases.create();
    const set = await migrations({
      '20260101000000_a.sql': 'create table a (id int);\ncreate table a2 (id int);',
      '20260102000000_b.ts': `import { sql, type Kysely } from 'kysely';
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema.createTable('b').addColumn('id', 'integer').execute();
  await sql\`insert into b values (\${1})\`.execute(db);
}
export async function down(db: Kysely<unknown>): Promise<void> { await db.schema.dropTable('b').execute(); }`,
      '20260103000000_c.sql': '-- migrate:up\ncreate table c (id int);\n-- migrate:down\ndrop table c;\n',
    });
    const result = await up(url, set, { actor: 'ci-bot' });
    expect(result.error).toBeUndefined();
    expect(result).toMatchObject({ outcome: 'migrated', from: null, to: '20260103000000_c', pending: [] });
    expect(result.applied.map(({ name }) => name)).toEqual([
      '20260101000000_a',
      '20260102000000_b',
      '20260103000000_c',
    ]);
    expect(await rowsIn(url, 'select * from b')).toEqual([{ id: 1 }]);
    const [row] = await rowsIn(
      url,
      'select *, finished_at >= started_at as sane from mpm_migrate.history order by position offset 1 limit 1',
    );
    expect(row, 'engine 20').toMatchObject({
      position: '2',
      name: '20260102000000_b',
      version: '20260102000000',
      state: 'applied',
      run_id: '7',
      source: 'core',
      actor: 'ci-bot',
      tool_version: '0.0.0-test',
      sane: true,
      checksum: expect.stringMatching(/^v2:[0-9a-f]{64}$/),
    });
    expect(row?.['database_user']).toBe(new URL(url).username);

    expect(await up(url, set)).toMatchObject({ outcome: 'current', from: '20260103000000_c', applied: [] });
    expect(await down(url, set, { steps: 2 })).toMatchObject({ outcome: 'reverted', to: '20260101000000_a' });
    expect(await historyOf(url)).toEqual(['20260101000000_a applied']);
    expect(await exists(url, 'b')).toBe(false);
  });

  test('engine 1: an SQL error takes the whole migration along, and keeps those before it', async () => {
    const { url } = await databases.create();
    const set = await migrations({
      '1_good.sql': 'create table good (id int);',
      '2_bad.sql':
        'create table half (id int);\ninsert into half values (1);\nselect 1/0;\ncreate table never (id int);',
    });
    const result = await up(url, set);
    expect(result).toMatchObject({ outcome: 'failed', to: '1_good', retryable: false, pending: ['2_bad'] });
    expect(result.error).toMatchObject({
      code: 'MIGRATION_FAILED',
      migration: '2_bad',
      aftermath: 'the migration was rolled back',
      database: { code: '22012' },
    });
    expect(await historyOf(url)).toEqual(['1_good applied']);
    expect(await exists(url, 'half')).toBe(false);
  });

  test.each(['', 'await sql`select 1`.execute(db);'])(
    'what a module throws is not said to have failed at COMMIT: %j',
    async (before) => {
      const { url } = await databases.create();
      const set = await migrations({
        '1_throws.ts': `import { sql, type Kysely } from 'kysely';\nexport async function up(db: Kysely<unknown>) { ${before} throw 'text'; }\n`,
      });
      expect((await up(url, set)).error).toMatchObject({
        message: 'text',
        aftermath: 'the migration was rolled back',
      });
    },
  );

  test('engine 1: a deferred constraint fails at COMMIT, and nothing is kept', async () => {
    const { url } = await databases.create();
    const set = await migrations({
      '1_deferred.sql': `create table parent (id int primary key);
create table child (parent int references parent deferrable initially deferred);
insert into child values (1);`,
    });
    const result = await up(url, set);
    expect(result.error).toMatchObject({
      code: 'MIGRATION_FAILED',
      database: { code: '23503' },
      aftermath: 'it failed at COMMIT; the migration was rolled back',
    });
    expect(await historyOf(url)).toEqual([]);
    expect(await exists(url, 'parent')).toBe(false);
  });

  test('engine 2: an enum value is added in one migration and used in the next', async () => {
    const { url } = await databases.create();
    const set = await migrations({
      '1_type.sql': "create type mood as enum ('sad');",
      '2_value.sql': "alter type mood add value 'happy';",
      '3_use.sql': "create table people (mood mood default 'happy'); insert into people values (default);",
    });
    expect(await up(url, set)).toMatchObject({ outcome: 'migrated', to: '3_use' });
  });

  test('engine 4: a module that swallows a failed statement has failed', async () => {
    const { url } = await databases.create();
    const set = await migrations({
      '1_swallow.ts': `import { sql, type Kysely } from 'kysely';
export async function up(db: Kysely<unknown>) {
  await sql\`create table kept (id int)\`.execute(db);
  try { await sql\`insert into nowhere values (1)\`.execute(db); } catch {}
}`,
    });
    const result = await up(url, set);
    expect(result.error).toMatchObject({ code: 'MIGRATION_SWALLOWED', database: { code: '42P01' } });
    expect(result.error?.message).toContain('relation "nowhere" does not exist');
    expect(await historyOf(url)).toEqual([]);
    expect(await exists(url, 'kept')).toBe(false);
  });

  test.each(['commit', 'ROLLBACK', 'begin', '/* x */ end'])(
    'engine 5: %s in a module is refused before it is sent',
    async (control) => {
      const { url } = await databases.create();
      const set = await migrations({
        '1_control.mjs': `import { sql } from 'kysely';
export async function up(db) { await sql\`create table t (id int)\`.execute(db); await sql\`${control}\`.execute(db); }`,
      });
      const result = await up(url, set);
      expect(result.error).toMatchObject({ code: 'MIGRATION_INVALID' });
      expect(await exists(url, 't')).toBe(false);
      expect(await historyOf(url)).toEqual([]);
    },
  );

  test('engine 5: a COMMIT that slips through is reported as escaped, never as rolled back', async () => {
    const { url } = await databases.create();
    const set = await migrations({
      '1_slip.mjs': `import { sql } from 'kysely';
export async function up(db) { await sql.raw('create table t (id int); commit; begin').execute(db); }`,
      '2_after.sql': 'create table after (id int)',
    });
    const result = await up(url, set);
    expect(result.error).toMatchObject({
      code: 'MIGRATION_ESCAPED',
      aftermath: expect.stringContaining('not rolled back'),
    });
    expect(await exists(url, 't')).toBe(true);
    expect(await historyOf(url)).toEqual(['1_slip failed']);
    const again = await up(url, set);
    expect(again).toMatchObject({ outcome: 'refused', applied: [] });
    expect(again.error?.hint).toContain('resolve 1_slip');
  });

  test('engine 5: a ROLLBACK that slips through leaves a failed row, too', async () => {
    const { url } = await databases.create();
    const set = await migrations({
      '1_slip.mjs': `import { sql } from 'kysely';
export async function up(db) { await sql.raw('select 1; rollback').execute(db); await sql\`create table t (id int)\`.execute(db); }`,
    });
    expect((await up(url, set)).error).toMatchObject({ code: 'MIGRATION_ESCAPED' });
    expect(await historyOf(url)).toEqual(['1_slip failed']);
  });

  test('engine 5, 38: an escape is recorded under the lock, and not over what another runner has applied', async () => {
    const { url } = await databases.create();
    const slip = `import { sql } from 'kysely';
export async function up(db) { await sql.raw('create table t (id int); commit; begin; select pg_sleep(1.5)').execute(db); }`;
    const running = up(url, await migrations({ '1_slip.mjs': slip }));
    await backendDoing(url, "wait_event = 'PgSleep'");
    const other = await connect({ url, applicationName: 'other', connectTimeout: 5000 });
    try {
      await other.raw(`begin; select ${tryLock(OPTIONS.history)};
update mpm_migrate.history set state = 'applied', finished_at = now() where name = '1_slip'`);
      await backendDoing(
        url,
        "application_name = 'mpm-migrate/7/42' and state = 'idle' and query like '%rollback%'",
      );
      await other.raw('commit');
    } finally {
      await other.close();
    }
    expect((await running).error).toMatchObject({ code: 'MIGRATION_ESCAPED' });
    expect(await historyOf(url)).toEqual(['1_slip applied']);
  });

  test('engine 5: db.transaction() in a module is refused, a savepoint is not', async () => {
    const { url } = await databases.create();
    const nested = await migrations({
      '1_nested.mjs': `export async function up(db) { await db.transaction().execute(async () => {}); }`,
    });
    expect((await up(url, nested)).error?.message).toContain('transaction()');
    const savepoint = await migrations({
      '1_savepoint.mjs': `import { sql } from 'kysely';
export async function up(db) {
  await sql\`savepoint a\`.execute(db);
  await sql\`select 1/0\`.execute(db).catch(() => {});
  await sql\`rollback to a\`.execute(db);
  await sql\`create table fine (id int)\`.execute(db);
}`,
    });
    expect(await up(url, savepoint)).toMatchObject({ outcome: 'migrated' });
    expect(await exists(url, 'fine')).toBe(true);
  });

  test('engine 6: down without a down section is an error and removes no row', async () => {
    const { url } = await databases.create();
    const set = await migrations({
      '1_a.sql': 'create table a (id int)',
      '2_b.sql': '-- migrate:up\ncreate table b (id int);\n-- migrate:down\ndrop table b;',
    });
    await up(url, set);
    const result = await down(url, set, { steps: 2 });
    expect(result.outcome).toBe('refused');
    expect(result.error?.message).toBe('1_a has no down section');
    expect(await historyOf(url)).toEqual(['1_a applied', '2_b applied']);
    expect(await exists(url, 'b')).toBe(true);
  });

  test('engine 6: a down that fails keeps the row and what it had dropped', async () => {
    const { url } = await databases.create();
    const set = await migrations({
      '1_a.sql':
        '-- migrate:up\ncreate table a (id int);\n-- migrate:down\ndrop table a;\ndrop table nowhere;',
    });
    await up(url, set);
    const result = await down(url, set);
    expect(result.error).toMatchObject({ code: 'MIGRATION_FAILED', excerpt: { line: 5 } });
    expect(await historyOf(url)).toEqual(['1_a applied']);
    expect(await exists(url, 'a')).toBe(true);
  });

  test('engine 7: role, search_path and settings of a migration end with it', async () => {
    const { url } = await databases.create();
    const role = `${databases.prefix}role`;
    await databases.query(`create role ${role}`);
    try {
      const set = await migrations({
        '1_leak.sql': `grant all on schema public to ${role};
select pg_catalog.set_config('search_path', '', false);
set statement_timeout = '1h'; set timezone = 'Asia/Tokyo'; set default_transaction_read_only = on;
create temp table leftover (id int);
set role ${role};`,
        '2_look.sql': `create table seen as select current_user::text as role, current_setting('search_path') as path,
  current_setting('timezone') as zone, to_regclass('pg_temp.leftover') is null as clean;`,
      });
      const result = await up(url, set);
      expect(result.error).toBeUndefined();
      const [seen] = await rowsIn(
        url,
        "select *, current_user::text as me, current_setting('timezone') as my_zone from seen",
      );
      expect(seen).toMatchObject({ path: '"$user", public', clean: true });
      expect(seen?.['role']).toBe(seen?.['me']);
      expect(seen?.['zone']).toBe(seen?.['my_zone']);
    } finally {
      await rowsIn(url, `drop owned by ${role}`);
      await databases.query(`drop role ${role}`);
    }
  });

  test('engine 28: the central database is never a tenant', async () => {
    const { url } = await databases.create();
    await rowsIn(url, 'create schema mpm_migrate; create table mpm_migrate.runs (run bigint)');
    const set = await migrations({ '1_a.sql': 'create table a (id int)' });
    expect((await up(url, set)).error).toMatchObject({ code: 'WRONG_DATABASE' });
    expect(await exists(url, 'a')).toBe(false);
  });

  test('engine 24: a database with objects and no history is refused, one with an extension is not', async () => {
    const { url } = await databases.create();
    await rowsIn(url, 'create table legacy (id int)');
    const set = await migrations({ '1_a.sql': 'create table a (id int)' });
    const result = await up(url, set);
    expect(result).toMatchObject({ outcome: 'refused', error: { code: 'NOT_EMPTY' } });
    expect(result.error?.message).toContain('public.legacy');
    expect(result.error?.hint).toContain('baseline');
    expect(await historyOf(url)).toEqual([]);
    await rowsIn(url, 'drop table legacy; create extension if not exists plpgsql');
    expect(await up(url, set)).toMatchObject({ outcome: 'migrated' });
  });

  test('engine 29: application_name names run and tenant', async () => {
    const { url } = await databases.create();
    const set = await migrations({
      '1_a.sql': "create table a as select current_setting('application_name') as name",
    });
    await up(url, set);
    expect(await rowsIn(url, 'select * from a')).toEqual([{ name: 'mpm-migrate/7/42' }]);
  });
});

describe('SQL errors', () => {
  test.each([
    ['LF', '\n'],
    ['CRLF', '\r\n'],
  ])('engine 31: line, column and caret line with %s, accents and emoji', async (_, newline) => {
    const { url } = await databases.create();
    const lines = [
      '-- migrate:up',
      "create table é (note text default '🙂 ça va');",
      "insert into é values ('🙂🙂', wrong);",
      'select 1;',
    ];
    const set = await migrations({ '1_é.sql': lines.join(newline) });
    const { error } = await up(url, set);
    expect(error?.excerpt).toMatchObject({ line: 3, column: 29 });
    expect(error?.excerpt?.lines.map(({ number, failing }) => [number, failing])).toEqual([
      [2, false],
      [3, true],
      [4, false],
    ]);
    expect(error?.database?.code).toBe('42703');
  });

  test('engine 31: an error without a position is shown at its statement', async () => {
    const { url } = await databases.create();
    const set = await migrations({
      '1_a.sql':
        'create table a (id int primary key);\n\ninsert into a values (1);\n-- twice\ninsert into a\n  values (1);\n',
    });
    const { error } = await up(url, set);
    expect(error).toMatchObject({
      database: { code: '23505', detail: 'Key (id)=(1) already exists.' },
      excerpt: { line: 5, column: 1 },
    });
  });

  test('engine 31: PL/pgSQL lines are lines of the file', async () => {
    const { url } = await databases.create();
    const block = await migrations({
      '1_do.sql': "select 1;\ndo $$\nbegin\n  perform 1;\n  raise exception 'no';\nend $$;\n",
    });
    expect((await up(url, block)).error?.excerpt).toMatchObject({ line: 5 });
    const named = await migrations({
      '1_fn.sql':
        'create function f(a int) returns int language plpgsql as $f$\nbegin\n  return a / 0;\nend $f$;\nselect f(1);\n',
    });
    expect((await up(url, named)).error?.excerpt).toMatchObject({ line: 3 });
  });

  test('engine 32: an empty section is recorded', async () => {
    const { url } = await databases.create();
    const set = await migrations({
      '1_empty.sql': '',
      '2_comment.sql': '-- only a comment',
      '3_up.sql': '-- migrate:up\n-- migrate:down\n',
    });
    expect(await up(url, set)).toMatchObject({ outcome: 'migrated', to: '3_up' });
    expect(await down(url, set, { steps: 1 })).toMatchObject({ outcome: 'reverted', to: '2_comment' });
  });
});

describe('the head stamp', () => {
  const files = {
    '1_a.sql': '-- migrate:up\ncreate table a (id int);\n-- migrate:down\ndrop table a;',
    '2_b.sql': '-- migrate:up\ncreate table b (id int);\n-- migrate:down\ndrop table b;',
  };
  const stampIn = async (url: string) => {
    const [row] = await rowsIn<{ comment: string | null }>(
      url,
      "select shobj_description(oid, 'pg_database') as comment from pg_database where datname = current_database()",
    );
    return { comment: row?.comment ?? null, stamp: parseStamp(row?.comment ?? null) };
  };
  const found = async (url: string) =>
    (await rowsIn<{ count: number; fingerprint: string }>(url, SELECT_FINGERPRINT))[0];

  test('engine 30: is written with the history, behind what a person wrote, and says the same', async () => {
    const { url, name } = await databases.create();
    await rowsIn(url, `comment on database "${name}" is 'Ours: don''t \\drop'`);
    const set = await migrations(files);
    await up(url, set);
    const { comment, stamp } = await stampIn(url);
    expect(comment).toMatch(/^Ours: don't \\drop \[mpm-migrate:2:2:[0-9a-f]{64}\]$/);
    const { count, fingerprint } = (await found(url)) ?? {};
    expect(stamp).toEqual({ count, fingerprint });
    expect(await down(url, set)).toMatchObject({ outcome: 'reverted' });
    const after = (await found(url)) ?? { count: -1, fingerprint: '' };
    expect((await stampIn(url)).stamp).toEqual({ count: 1, fingerprint: after.fingerprint });
    await down(url, set);
    expect((await stampIn(url)).stamp?.count).toBe(0);
  });

  test('engine 30: a comment that a migration writes is kept, and reverted by down', async () => {
    const { url, name } = await databases.create();
    const set = await migrations({
      '1_a.sql': `-- migrate:up\ncomment on database "${name}" is 'new ''words''';\n-- migrate:down\ncomment on database "${name}" is null;`,
      '2_b.sql': '-- migrate:up\nselect 1;\n-- migrate:down\n',
    });
    await up(url, set);
    expect((await stampIn(url)).comment).toMatch(/^new 'words' \[mpm-migrate:2:2:[0-9a-f]{64}\]$/);
    await down(url, set, { steps: 2 });
    expect((await stampIn(url)).comment).toMatch(/^\[mpm-migrate:2:0:[0-9a-f]{64}\]$/);
  });

  test('engine 39: after a batch that failed half-way it says what is there', async () => {
    const { url } = await databases.create();
    const bad = await migrations({ ...files, '3_bad.sql': 'select 1/0' });
    for (let run = 0; run < 2; run += 1) {
      expect(await up(url, bad)).toMatchObject({ outcome: 'failed' });
      expect((await stampIn(url)).stamp).toEqual(await found(url));
    }
    const outside = await migrations({
      ...files,
      '3_bad.sql': '-- migrate:up transaction:false\ncreate table kept ();\nselect 1/0',
    });
    expect(await up(url, outside)).toMatchObject({ outcome: 'failed' });
    expect((await stampIn(url)).stamp).toEqual({ ...(await found(url)), count: 3 });
  });

  test('engine 39: one that was left open is closed by the next up that is current, unless others are at work', async () => {
    const { url, name } = await databases.create();
    const set = await migrations(files);
    await up(url, set);
    await rowsIn(url, `comment on database "${name}" is 'Ours [mpm-migrate:2:open:abc123]'`);
    const other = await connect({ url, applicationName: 'mpm-migrate/9/42', connectTimeout: 5000 });
    await up(url, set);
    expect((await stampIn(url)).comment).toBe('Ours [mpm-migrate:2:open:abc123]');
    await other.close();
    await backendsGone(url);
    await up(url, set);
    expect((await stampIn(url)).comment).toMatch(/^Ours \[mpm-migrate:2:2:[0-9a-f]{64}\]$/);
  });

  test('engine 30: an out-of-order history has a stamp of its own, equal to what the server computes', async () => {
    const { url } = await databases.create();
    await up(url, await migrations({ '2_b.sql': files['2_b.sql'] }));
    await up(url, await migrations(files), { force: true });
    const { count, fingerprint } = (await found(url)) ?? {};
    expect((await stampIn(url)).stamp).toEqual({ count, fingerprint });
    expect(await historyOf(url)).toEqual(['2_b applied', '1_a applied']);
  });

  test('engine 30: without ownership there is no stamp, one notice, and everything else works', async () => {
    const { url, name } = await databases.create();
    const role = `${databases.prefix}guest`;
    await databases.query(
      `create role ${role} login password 'guest'; grant create on database "${name}" to ${role}`,
    );
    await rowsIn(url, `grant all on schema public to ${role}`);
    try {
      const guest = new URL(url);
      guest.username = role;
      guest.password = 'guest';
      const result = await up(guest.href, await migrations(files));
      expect(result).toMatchObject({
        outcome: 'migrated',
        notices: [expect.stringContaining("doesn't own")],
      });
      expect((await stampIn(url)).comment).toBeNull();
    } finally {
      await rowsIn(url, `drop owned by ${role} cascade`);
      await databases.query(`drop role ${role}`);
    }
  });
});
