import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { createHistory, selectContents } from '../../src/engine/history/history.ts';
import { tryLock } from '../../src/engine/history/lock-sql.ts';
import { execute } from '../../src/engine/apply/attempt.ts';
import type { DatabaseState } from '../../src/engine/history/read.ts';
import { readMigrations } from '../../src/engine/source/source.ts';
import { connect } from '../../src/postgres/connect.ts';
import type { Connection } from '../../src/postgres/connection.ts';
import { withDatabases } from '../helpers/database.ts';
import {
  backendDoing,
  backendsGone,
  folderOf,
  historyOf,
  migrations,
  rowsIn,
  startRunner,
  up,
  withFolders,
} from '../helpers/engine.ts';
import { OPTIONS } from '../helpers/options.ts';

const databases = withDatabases();
withFolders();

const OUTSIDE = '-- migrate:up transaction:false\n';

/** How a run ends at a point: its process, or its backend. */
const ENDS = {
  'kill -9': async (runner: { kill(): void }) => runner.kill(),
  'a terminated backend': async (_: unknown, url: string, pid: number) => {
    await rowsIn(url, `select pg_terminate_backend(${pid})`);
  },
};

describe.each(Object.entries(ENDS))('%s', (_, end) => {
  async function endAt(url: string, files: Record<string, string>, at: string): Promise<string> {
    const folder = await folderOf(files);
    const runner = await startRunner(url, folder);
    const pid = await backendDoing(url, at);
    await end(runner, url, pid);
    await runner.finished;
    await backendsGone(url);
    return folder;
  }

  test('engine 1: before the claim, while it waits for another runner, nothing has happened', async () => {
    const { url } = await databases.create();
    const files = { '1_t.sql': 'create table t (id int);', '2_u.sql': 'create table u (id int);' };
    await up(url, await migrations({ '1_t.sql': files['1_t.sql'] }));
    const other = await connect({ url, applicationName: 'other', connectTimeout: 5000 });
    let folder: string;
    try {
      await other.query(`begin; select ${tryLock(OPTIONS.history)}`);
      folder = await endAt(
        url,
        files,
        "application_name = 'mpm-migrate/7/42' and query like '%pg_try_advisory_xact_lock%'",
      );
    } finally {
      await other.close();
    }
    expect(await historyOf(url)).toEqual(['1_t applied']);
    expect(await up(url, await readMigrations(folder, 'core'))).toMatchObject({ applied: [{ name: '2_u' }] });
  });

  test('engine 1: after the claim, before the first statement, the claim is gone with the transaction', async () => {
    const { url } = await databases.create();
    const module = `import { sql } from 'kysely';
import { setTimeout as sleep } from 'node:timers/promises';
export async function up(db) { await sleep(1500); await sql\`create table t (id int)\`.execute(db); }`;
    const files = { '1_first.sql': 'select 1;', '2_module.mjs': module };
    await endAt(url, files, "state = 'idle in transaction' and query like '%2\\_module%savepoint%'");
    expect(await historyOf(url)).toEqual(['1_first applied']);
    const quick = await migrations({ ...files, '2_module.mjs': module.replace('1500', '0') });
    expect(await up(url, quick)).toMatchObject({ outcome: 'migrated', applied: [{ name: '2_module' }] });
  });

  test('engine 10: outside a transaction, in the middle of a statement, it is interrupted there, and resumes', async () => {
    const { url } = await databases.create();
    const files = {
      '1_t.sql': 'create table t (id int);',
      '2_steps.sql': `${OUTSIDE}insert into t values (1);\ninsert into t select 2 from pg_sleep(1.2);\ninsert into t values (3);`,
    };
    const folder = await endAt(url, files, "wait_event = 'PgSleep'");
    const [row] = await rowsIn<{ state: string; done: number }>(
      url,
      "select state, statements_done as done from mpm_migrate.history where name = '2_steps'",
    );
    const kept = await rowsIn<{ id: number }>(url, 'select id from t order by id');
    expect(row?.state).toBe('running');
    // Statement and record are one: as many rows as statements that are recorded as done.
    expect(kept).toHaveLength(row?.done ?? -1);
    const set = await readMigrations(folder, 'core');
    expect(await up(url, set)).toMatchObject({ outcome: 'refused', error: { code: 'PLAN_REFUSED' } });
    expect(await up(url, set, { force: true })).toMatchObject({ outcome: 'migrated' });
    expect(await rowsIn(url, 'select id from t order by id')).toEqual([{ id: 1 }, { id: 2 }, { id: 3 }]);
  });

  test('engine 11: in the middle of CREATE INDEX CONCURRENTLY, the invalid index is dropped before it is built anew', async () => {
    const { url } = await databases.create();
    const files = {
      '1_t.sql': 'create table t (id int);',
      '2_index.sql': `${OUTSIDE}create index concurrently i on t (id);`,
    };
    await up(url, await migrations({ '1_t.sql': files['1_t.sql'] }));
    // What it waits for: a transaction that has written to the table.
    const writer = await connect({ url, applicationName: 'writer', connectTimeout: 5000 });
    await writer.raw('begin; insert into t values (1)');
    const building = "query like 'create index concurrently%' and wait_event_type = 'Lock'";
    const folder = await folderOf(files);
    const runner = await startRunner(url, folder);
    const pid = await backendDoing(url, building);
    await end(runner, url, pid);
    // The backend of a killed client goes on waiting: it ends as the server's operator would end it.
    await rowsIn(
      url,
      `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and ${building}`,
    );
    await runner.finished;
    await writer.raw('commit');
    await writer.close();
    await backendsGone(url);
    expect(await rowsIn(url, "select indisvalid from pg_index where indexrelid = 'i'::regclass")).toEqual([
      { indisvalid: false },
    ]);
    const set = await readMigrations(folder, 'core');
    expect(await up(url, set)).toMatchObject({ outcome: 'refused' });
    expect(await up(url, set, { force: true })).toMatchObject({ outcome: 'migrated' });
    expect(await rowsIn(url, "select indisvalid from pg_index where indexrelid = 'i'::regclass")).toEqual([
      { indisvalid: true },
    ]);
  });
});

test('engine 3: Umzug only asserts: what a step did not do is an error, and nothing behind it runs', async () => {
  const ran: string[] = [];
  await execute('up', ['1', '2'], async (name) => void ran.push(name));
  await execute('down', ['2', '1'], async (name) => void ran.push(`-${name}`));
  expect(ran).toEqual(['1', '2', '-2', '-1']);
  const failed = execute('up', ['3', '4'], async (name) => {
    ran.push(name);
    throw new Error(`${name} broke`);
  });
  await expect(failed).rejects.toThrow(/^3 broke$/);
  expect(ran.at(-1)).toBe('3');
});

test('engine 8: rows without a file and files out of order are in the plan, which Umzug would hide', async () => {
  const { url } = await databases.create();
  await up(url, await migrations({ '1_a.sql': 'select 1;', '3_c.sql': 'select 3;', '5_e.sql': 'select 5;' }));
  const result = await up(
    url,
    await migrations({ '2_b.sql': 'select 2;', '3_c.sql': 'select 3;', '5_e.sql': 'select 5;' }),
  );
  expect(result).toMatchObject({ outcome: 'refused', applied: [] });
  expect(result.error?.message).toMatch(/1_a .*file is gone/);
  expect(result.error?.message).toMatch(/2_b is older/);
});

test('engine 13: a waiter polls: it holds no snapshot and no transaction while it sleeps', async () => {
  const { url } = await databases.create();
  const set = await migrations({ '1_t.sql': 'create table t (id int);' });
  const other = await connect({ url, applicationName: 'other', connectTimeout: 5000 });
  await other.query(`begin; select ${tryLock(OPTIONS.history)}`);
  const waiting = up(url, set);
  await backendDoing(
    url,
    "application_name = 'mpm-migrate/7/42' and state = 'idle' and query like '%pg_try_advisory%'",
  );
  const looks: { blocked: boolean; snapshot: boolean }[] = [];
  for (let look = 0; look < 20; look += 1) {
    const [seen] = await rowsIn<{ blocked: boolean; snapshot: boolean }>(
      url,
      "select wait_event_type = 'Lock' as blocked, backend_xmin is not null and state <> 'active' as snapshot from pg_stat_activity where application_name = 'mpm-migrate/7/42' and datname = current_database()",
    );
    if (seen) looks.push(seen);
    await sleep(10);
  }
  await other.close();
  expect(await waiting).toMatchObject({ outcome: 'migrated' });
  expect(looks.length).toBeGreaterThan(10);
  expect(looks.filter(({ blocked, snapshot }) => blocked || snapshot)).toEqual([]);
});

test('engine 17: twenty runners find no history at once, and each makes no error of it', async () => {
  const { url } = await databases.create();
  const set = await migrations({ '1_t.sql': 'create table t (id int);' });
  const results = await Promise.all(Array.from({ length: 20 }, () => up(url, set)));
  expect(results.flatMap(({ error }) => error?.message ?? [])).toEqual([]);
  expect(results.reduce((sum, { applied }) => sum + applied.length, 0)).toBe(1);
});

test('engine 17, 24: what another runner has just made is never seen without its history', async () => {
  const { url } = await databases.create();
  const open = () => connect({ url, applicationName: 'reader', connectTimeout: 5000 });
  const [writer, ...readers] = await Promise.all([open(), open(), open(), open()]);
  const written = new AbortController();
  let begun = 0;
  const write = async (): Promise<void> => {
    for (const end = performance.now() + 2000; performance.now() < end; begun++) {
      await writer.raw(`begin; ${createHistory(OPTIONS.history)}; commit; begin; create table t (); commit`);
      await writer.raw(`begin; drop table t; drop schema ${OPTIONS.history.schema} cascade; commit`);
    }
    written.abort();
  };
  const wrong: unknown[] = [];
  const read = async (reader: Connection): Promise<void> => {
    while (!written.signal.aborted) {
      const [found] = await reader.query<DatabaseState>(selectContents(OPTIONS.history));
      if (!found?.bootstrapped && found?.objects.length) wrong.push(found);
    }
  };
  try {
    await Promise.all([write(), ...readers.map(read)]);
  } finally {
    for (const connection of [writer, ...readers]) await connection.close();
  }
  expect(begun).toBeGreaterThan(10);
  expect(wrong).toEqual([]);
});

test('a folder on a read-only file system is read and applied', async (context) => {
  const folder = await folderOf({});
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', folder], { stdio: 'ignore' });
  } catch {
    return context.skip('no file system can be mounted here');
  }
  try {
    mkdirSync(`${folder}/core`);
    writeFileSync(`${folder}/core/1_t.sql`, 'create table t (id int);');
    writeFileSync(`${folder}/core/2_module.ts`, 'export async function up(): Promise<void> {}');
    execFileSync('mount', ['-o', 'remount,ro', folder]);
    const { url } = await databases.create();
    expect(await up(url, await readMigrations(`${folder}/core`, 'core'))).toMatchObject({
      outcome: 'migrated',
      to: '2_module',
    });
  } finally {
    execFileSync('umount', ['-l', folder]);
  }
});
