import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync } from 'node:fs';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { attemptUp, withRetries } from '../../src/engine/apply/migrate.ts';
import { readMigrations } from '../../src/engine/source/source.ts';
import { startEmbedded } from '../../src/postgres/embedded/embedded.ts';
import { withDatabases } from '../helpers/database.ts';
import {
  backendDoing,
  down,
  folderOf,
  historyOf,
  migrations,
  rowsIn,
  up,
  withFolders,
} from '../helpers/engine.ts';
import { OPTIONS, targetOf } from '../helpers/options.ts';

const databases = withDatabases();
withFolders();

const PATIENT = { ...OPTIONS, pace: { ...OPTIONS.pace, retries: 10 } };

test('engine 18: the server crashes and recovers in the middle of a migration; it is applied once', async () => {
  await using server = await startEmbedded({});
  const set = await migrations({
    '1_t.sql': 'create table log (what text);',
    '2_slow.sql': "insert into log values ('begin'); select pg_sleep(1); insert into log values ('end');",
  });
  const running = withRetries(PATIENT, () =>
    attemptUp(targetOf(server.url), set, { ...PATIENT, allowNonEmpty: true }),
  );
  const pid = await backendDoing(server.url, "wait_event = 'PgSleep'");
  // A backend that dies makes the postmaster end all others and recover: what an immediate restart does.
  process.kill(pid, 'SIGKILL');
  const result = await running;
  expect(result.error).toBeUndefined();
  expect(result.outcome).toBe('migrated');
  expect(result.attempts).toBeGreaterThan(1);
  expect(await rowsIn(server.url, 'select what from log')).toEqual([{ what: 'begin' }, { what: 'end' }]);
  expect(await historyOf(server.url)).toEqual(['1_t applied', '2_slow applied']);
});

test('a disk that is full fails one migration, and nothing of it is kept', async (context) => {
  const mount = await mkdtemp(path.join(tmpdir(), 'mpm-disk-'));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8m,mode=0777', 'tmpfs', mount], { stdio: 'ignore' });
  } catch {
    await rm(mount, { recursive: true });
    return context.skip('no file system can be mounted here');
  }
  try {
    const { url, name } = await databases.create();
    const space = `${databases.prefix}space`;
    const [owner] = await rowsIn<{ dir: string }>(url, "select current_setting('data_directory') as dir");
    const folder = path.join(mount, 'space');
    mkdirSync(folder);
    execFileSync('chown', ['--reference', owner?.dir ?? '', folder]);
    await databases.query(`create tablespace ${space} location '${folder}'`);
    try {
      const set = await migrations({
        '1_t.sql': `create table t (filler text) tablespace ${space};`,
        '2_fill.sql':
          "insert into t values ('first');\ninsert into t select repeat(md5(n::text), 60) from generate_series(1, 20000) n;",
      });
      const result = await up(url, set);
      expect(result).toMatchObject({
        outcome: 'failed',
        to: '1_t',
        error: {
          database: { code: '53100' },
          excerpt: { line: 2 },
          aftermath: 'the migration was rolled back',
        },
      });
      expect(await rowsIn(url, 'select count(*)::int as n from t')).toEqual([{ n: 0 }]);
    } finally {
      await databases.query(`drop database "${name}" with (force)`);
      await databases.query(`drop tablespace ${space}`);
    }
  } finally {
    execFileSync('umount', ['-l', mount]);
    await rm(mount, { recursive: true });
  }
});

test('no rights on schema public: the error says so, and nothing is recorded', async () => {
  const { url, name } = await databases.create();
  const role = `${databases.prefix}weak`;
  await databases.query(`create role ${role} login password 'weak'`);
  try {
    const weak = new URL(url);
    weak.username = role;
    weak.password = 'weak';
    const set = await migrations({ '1_t.sql': 'create table t (id int);' });
    const noSchema = await up(weak.href, set);
    expect(noSchema.error).toMatchObject({ database: { code: '42501' } });
    await databases.query(`grant create on database "${name}" to ${role}`);
    await rowsIn(url, 'revoke create on schema public from public');
    const noTable = await up(weak.href, set);
    expect(noTable.error).toMatchObject({ code: 'MIGRATION_FAILED', database: { code: '42501' } });
    expect(await historyOf(url)).toEqual([]);
  } finally {
    await rowsIn(url, `drop owned by ${role} cascade`);
    await databases.query(`drop role ${role}`);
  }
});

test('a server whose clock jumps: order and durations do not depend on it', async () => {
  const { url } = await databases.create();
  const files = {
    '1_a.sql': '-- migrate:up\nselect 1;\n-- migrate:down\nselect 1;',
    '2_b.sql': '-- migrate:up\nselect 1;\n-- migrate:down\nselect 1;',
  };
  const set = await migrations(files);
  await up(url, await migrations({ '1_a.sql': files['1_a.sql'] }));
  await rowsIn(
    url,
    "update mpm_migrate.history set started_at = now() + interval '10 years', finished_at = now() + interval '10 years'",
  );
  expect(await up(url, set)).toMatchObject({ outcome: 'migrated', applied: [{ name: '2_b' }] });
  expect(await down(url, set)).toMatchObject({ outcome: 'reverted', applied: [{ name: '2_b' }], to: '1_a' });
});

describe('large input', () => {
  test('a file of 30 MB is applied, and an error at its end is found', async () => {
    const { url } = await databases.create();
    const row = `insert into big values ('${'x'.repeat(200)}');\n`;
    const rows = Math.ceil((30 * 1024 * 1024) / row.length);
    const text = `create table big (filler text);\n${row.repeat(rows)}`;
    const bad = await up(url, await migrations({ '1_big.sql': `${text}select wrong;\n` }));
    expect(bad.error?.excerpt).toMatchObject({ line: rows + 2, column: 8 });
    expect(await historyOf(url)).toEqual([]);
    expect(await up(url, await migrations({ '1_big.sql': text }))).toMatchObject({ outcome: 'migrated' });
    expect(await rowsIn(url, 'select count(*)::int as n from big')).toEqual([{ n: rows }]);
  }, 120_000);

  test('3,000 files', async () => {
    const { url } = await databases.create();
    const files = Object.fromEntries(
      Array.from({ length: 3000 }, (_, index) => [
        `${index + 1}_m.sql`,
        index ? `insert into log values (${index});` : 'create table log (n int);',
      ]),
    );
    const folder = await folderOf(files);
    const set = await readMigrations(folder, 'core');
    expect(await up(url, set)).toMatchObject({ outcome: 'migrated', to: '3000_m' });
    expect(
      await rowsIn(url, 'select count(*)::int as rows, count(distinct n)::int as different from log'),
    ).toEqual([{ rows: 2999, different: 2999 }]);
    expect(await up(url, set)).toMatchObject({ outcome: 'current' });
  }, 120_000);
});

describe('unusual text', () => {
  test('BOM, CRLF, emoji in names and SQL, $ and backslashes', async () => {
    const { url } = await databases.create();
    const set = await migrations({
      '1_ünïcödé 🙂.sql':
        "\ufeff-- migrate:up\r\ncreate table \"🙂\" (note text);\r\ninsert into \"🙂\" values ('a\\b'), (E'c\\\\d'), ($x$it's $1 $& ''$x$);\r\n",
    });
    expect(await up(url, set)).toMatchObject({ outcome: 'migrated' });
    expect(await rowsIn(url, 'select note from "🙂"')).toEqual([
      { note: 'a\\b' },
      { note: 'c\\d' },
      { note: "it's $1 $& ''" },
    ]);
    expect(await historyOf(url)).toEqual(['1_ünïcödé 🙂 applied']);
    expect(await up(url, set)).toMatchObject({ outcome: 'current' });
  });

  test('engine 20: line ends and a BOM do not change the checksum', async () => {
    const { url } = await databases.create();
    await up(url, await migrations({ '1_a.sql': 'select 1;\nselect 2;\n' }));
    expect(await up(url, await migrations({ '1_a.sql': '\ufeffselect 1;\r\nselect 2;\r\n' }))).toMatchObject({
      outcome: 'current',
    });
    expect(await up(url, await migrations({ '1_a.sql': 'select 1;\nselect 3;\n' }))).toMatchObject({
      outcome: 'refused',
    });
  });

  test('engine 32: NUL, COPY … FROM STDIN and psql commands are refused when read', async () => {
    await expect(migrations({ '1_nul.sql': 'select 1;\0' })).rejects.toMatchObject({
      code: 'MIGRATION_INVALID',
    });
    await expect(migrations({ '1_copy.sql': 'copy t from stdin;\n1\n\\.\n' })).rejects.toThrow(/COPY|copy/);
    await expect(migrations({ '1_psql.sql': '\\set x 1\nselect 1;' })).rejects.toThrow(/psql/);
  });
});

describe("pg_dump's output as a migration", () => {
  const folder = path.join(import.meta.dirname, '../fixtures');

  test.each(readdirSync(folder).filter((file) => file.startsWith('pg_dump-')))(
    'engine 7 and 32: %s, with \\restrict and an emptied search_path; the next migration finds the tables',
    async (file) => {
      const dump = await readFile(path.join(folder, file), 'utf8');
      expect(dump).toContain('\\restrict');
      expect(dump).toContain("set_config('search_path', ''");
      const { url } = await databases.create();
      const set = await migrations({
        '1_dump.sql': dump,
        '2_after.sql':
          "insert into people (note) values ('x'); insert into visits (person, at) values (1, '2026-05-05');",
      });
      const result = await up(url, set);
      if (Number(/version (\d+)/.exec(dump)?.[1]) > (await majorOf(url))) {
        // A newer server's dump may use what this one has not; then nothing of it is kept.
        if (result.error) return expect(await historyOf(url)).toEqual([]);
      }
      expect(result.error).toBeUndefined();
      expect(await rowsIn(url, 'select loud(note) as note from people order by id')).toEqual([
        { note: 'ONE' },
        { note: 'TWO; \\.' },
        { note: 'X' },
      ]);
      expect(await rowsIn(url, 'select n from visits')).toEqual([{ n: 100 }]);
    },
  );
});

async function majorOf(url: string): Promise<number> {
  const [row] = await rowsIn<{ major: number }>(
    url,
    "select current_setting('server_version_num')::int / 10000 as major",
  );
  return row?.major ?? 0;
}
