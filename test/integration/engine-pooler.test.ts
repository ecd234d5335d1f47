import { describe, expect, test } from 'vitest';
import { withConnection } from '../../src/postgres/connect.ts';
import { withDatabases } from '../helpers/database.ts';
import {
  down,
  folderOf,
  historyOf,
  migrations,
  rowsIn,
  startRunner,
  up,
  withFolders,
} from '../helpers/engine.ts';
import { pgbouncerAvailable, startPgbouncer } from '../helpers/pgbouncer.ts';

const databases = withDatabases();
withFolders();

const OUTSIDE = '-- migrate:up transaction:false\n';
const COUNT = 8;
const FILES = Object.fromEntries(
  Array.from({ length: COUNT }, (_, index) => [
    `${index + 1}_m.sql`,
    index === 0 ? 'create table log (n int);' : `insert into log values (${index + 1});`,
  ]),
);

describe.skipIf(!pgbouncerAvailable).each([
  { mode: 'transaction' as const, size: 1 },
  { mode: 'transaction' as const, size: 20 },
  { mode: 'session' as const, size: 20 },
])('PgBouncer in $mode pooling, $size connections', ({ mode, size }) => {
  test('engine 12: twenty runners at once apply each migration once, without an error', async () => {
    const { url } = await databases.create();
    const folder = await folderOf(FILES);
    await using pooler = await startPgbouncer(url, { mode, size });
    const runners = await Promise.all(
      Array.from({ length: 20 }, () => startRunner(pooler.through(url), folder)),
    );
    const ends = await Promise.all(runners.map(({ finished }) => finished));
    const results = ends.map(({ output }) => JSON.parse(output) as { error?: string; applied: unknown[] });
    expect(results.flatMap(({ error }) => error ?? [])).toEqual([]);
    expect(results.reduce((sum, { applied }) => sum + applied.length, 0)).toBe(COUNT);
    expect(await historyOf(url)).toEqual(
      Array.from({ length: COUNT }, (_, index) => `${index + 1}_m applied`),
    );
  }, 120_000);

  test('engine 7 and 15: nothing of a migration leaks to who gets the connection next', async () => {
    const { url } = await databases.create();
    await using pooler = await startPgbouncer(url, { mode, size });
    const set = await migrations({
      '1_leak.sql':
        "create temp table leftover (id int); select pg_catalog.set_config('search_path', '', false); set statement_timeout = '1h'; set role pg_monitor; select pg_catalog.pg_advisory_xact_lock(1);",
      '2_module.mjs': `import { sql } from 'kysely';
export async function up(db) { await sql\`set search_path to pg_catalog\`.execute(db); await sql\`create table public.t (id int)\`.execute(db); }`,
    });
    expect(await up(pooler.through(url), set)).toMatchObject({ outcome: 'migrated' });
    const stranger = { url: pooler.through(url), applicationName: 'stranger', connectTimeout: 5000 };
    const { rows } = await withConnection(stranger, (connection) =>
      connection.raw(
        "select current_setting('search_path') as path, current_setting('statement_timeout') as statement, current_setting('lock_timeout') as lock, current_user = session_user as own, to_regclass('pg_temp.leftover') is null as clean",
      ),
    );
    expect(rows[0]).toEqual({ path: '"$user", public', statement: '0', lock: '0', own: true, clean: true });
    expect(await rowsIn(url, "select count(*)::int as n from pg_locks where locktype = 'advisory'")).toEqual([
      { n: 0 },
    ]);
  });

  test('down works, and an error is told as without it', async () => {
    const { url } = await databases.create();
    await using pooler = await startPgbouncer(url, { mode, size });
    const files = { '1_a.sql': '-- migrate:up\ncreate table a (id int);\n-- migrate:down\ndrop table a;\n' };
    await up(pooler.through(url), await migrations(files));
    expect(await down(pooler.through(url), await migrations(files))).toMatchObject({
      outcome: 'reverted',
      to: null,
    });
    const bad = await up(
      pooler.through(url),
      await migrations({ ...files, '2_bad.sql': 'select 1;\nselect wrong;' }),
    );
    expect(bad.error).toMatchObject({
      excerpt: { line: 2, column: 8 },
      aftermath: 'the migration was rolled back',
    });
  });
});

describe.skipIf(!pgbouncerAvailable)('transaction:false behind a pooler', () => {
  test('engine 14 and 15: is refused in transaction pooling, and done past it', async () => {
    const { url } = await databases.create();
    await using pooler = await startPgbouncer(url, { mode: 'transaction', size: 1 });
    const set = await migrations({
      '1_t.sql': 'create table t (id int);',
      '2_index.sql': `${OUTSIDE}create index concurrently i on t (id);`,
    });
    const refused = await up(pooler.through(url), set);
    expect(refused).toMatchObject({ outcome: 'failed', to: '1_t', error: { code: 'CONNECTION' } });
    expect(refused.error?.hint).toContain('directUrl');
    expect(await historyOf(url)).toEqual(['1_t applied']);
    expect(await up(url, set)).toMatchObject({ outcome: 'migrated' });
    expect(await historyOf(url)).toEqual(['1_t applied', '2_index applied']);
  });
});
