import { describe, expect, test } from 'vitest';
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
import { startProxy } from '../helpers/proxy.ts';
import { readMigrations } from '../../src/engine/source/source.ts';

const databases = withDatabases();
withFolders();

const BEFORE = 'create table log (what text);';
const AFTER = "insert into log values ('after')";

/** A migration that can be caught at one point of its life, each time it comes by there for the first time. */
const POINTS: Record<string, { file: string; text: string; at: string }> = {
  'in the middle of the SQL': {
    file: '2_middle.sql',
    text: "insert into log values ('middle'); select pg_sleep(1.5); insert into log values ('end');",
    at: "wait_event = 'PgSleep'",
  },
  'between the last statement and COMMIT': {
    file: '2_module.mjs',
    text: `import { sql } from 'kysely';
import { setTimeout as sleep } from 'node:timers/promises';
export async function up(db) {
  await sql\`insert into log values ('middle'), ('end')\`.execute(db);
  await sleep(1500);
}`,
    at: "state = 'idle in transaction' and query like 'insert into log%'",
  },
  'at COMMIT': {
    file: '2_commit.sql',
    text: `create function slow() returns trigger language plpgsql as $$ begin perform pg_sleep(1.5); return null; end $$;
create constraint trigger slow after insert on log deferrable initially deferred for each row when (new.what = 'end') execute function slow();
insert into log values ('middle'), ('end');`,
    at: "wait_event = 'PgSleep'",
  },
};

/** Applied with its row, or not at all. */
async function expectWhole(url: string, name: string): Promise<boolean> {
  const rows = await rowsIn<{ what: string }>(url, 'select what from log order by what');
  const history = await historyOf(url);
  const applied = history.includes(`${name} applied`);
  // It may have been in one message with the next one, and that go on without its sender.
  const after = history.includes('3_after applied') ? ['after'] : [];
  expect(rows.map(({ what }) => what)).toEqual([...after, ...(applied ? ['end', 'middle'] : [])]);
  expect(after.length).toBeLessThanOrEqual(applied ? 1 : 0);
  return applied;
}

async function expectFinished(url: string, name: string): Promise<void> {
  expect(await historyOf(url)).toEqual(['1_before applied', `${name} applied`, '3_after applied']);
  const rows = await rowsIn<{ what: string }>(url, 'select what from log order by what');
  expect(rows.map(({ what }) => what)).toEqual(['after', 'end', 'middle']);
}

describe.each(Object.entries(POINTS))('%s', (_, { file, text, at }) => {
  const files = { '1_before.sql': BEFORE, [file]: text, '3_after.sql': AFTER };
  const name = file.replace(/\..*/, '');

  test('engine 1: kill -9 of the process keeps all or nothing, and the next run goes on', async () => {
    const { url } = await databases.create();
    const folder = await folderOf(files);
    const runner = await startRunner(url, folder);
    await backendDoing(url, at);
    runner.kill();
    await runner.finished;
    await backendsGone(url);
    await expectWhole(url, name);
    expect((await up(url, await readMigrations(folder, 'core'))).error).toBeUndefined();
    await expectFinished(url, name);
  });

  test('engine 1: a terminated backend keeps all or nothing, and is no retry of ours', async () => {
    const { url } = await databases.create();
    const set = await migrations(files);
    const running = up(url, set);
    const pid = await backendDoing(url, at);
    await rowsIn(url, `select pg_terminate_backend(${pid})`);
    const result = await running;
    expect(await expectWhole(url, name)).toBe(false);
    expect(result).toMatchObject({
      outcome: 'failed',
      to: '1_before',
      retryable: false,
      error: {
        code: 'CONNECTION_LOST',
        aftermath: 'the migration was rolled back',
        database: { code: '57P01' },
      },
    });
    expect(await up(url, set)).toMatchObject({ outcome: 'migrated' });
    await expectFinished(url, name);
  });

  test('engine 18: a connection lost while it ran is settled by the history', async () => {
    const { url } = await databases.create();
    const set = await migrations(files);
    await using proxy = await startProxy(url);
    const running = up(proxy.through(url), set);
    await backendDoing(url, at);
    proxy.cutAll();
    const result = await running;
    const applied = await expectWhole(url, name).catch(async () => {
      // All went well, and the migration behind it ran as well.
      await expectFinished(url, name);
      return true;
    });
    expect(result.outcome).toBe(applied ? 'migrated' : 'failed');
    if (!applied)
      expect(result).toMatchObject({
        retryable: true,
        error: { code: 'CONNECTION_LOST', aftermath: 'the migration was rolled back' },
      });
    await up(url, set);
    await expectFinished(url, name);
  });
});

test('engine 1: the wire cut after any number of bytes, in both directions', async () => {
  const { url } = await databases.create();
  await using proxy = await startProxy(url);
  const files: Record<string, string> = { '1_log.sql': 'create table log (n int);' };
  let number = 1;
  let cuts = 0;
  for (const towards of ['server', 'client'] as const) {
    for (let after = 0; after < 2600; after += towards === 'server' ? 97 : 61) {
      number += 1;
      files[`${number}_step.sql`] = `insert into log values (${number});`;
      const set = await migrations(files);
      proxy.options = { cut: { after, towards } };
      const through = await up(proxy.through(url), set);
      if (through.outcome !== 'migrated') cuts += 1;
      await backendsGone(url);
      const kept = await historyOf(url);
      const [table] = await rowsIn<{ there: boolean }>(url, "select to_regclass('log') is not null as there");
      const logged = table?.there ? await rowsIn<{ n: number }>(url, 'select n from log order by n') : [];
      expect(kept).toEqual([
        ...(table?.there ? ['1_log applied'] : []),
        ...logged.map(({ n }) => `${n}_step applied`),
      ]);
      expect(await up(url, set)).toMatchObject({ to: `${number}_step` });
    }
  }
  const rows = await rowsIn<{ n: number }>(url, 'select n from log order by n');
  expect(rows.map(({ n }) => n)).toEqual(Array.from({ length: number - 1 }, (_, index) => index + 2));
  expect(cuts).toBeGreaterThan(20);
}, 120_000);

test('engine 27: a FATAL on an idle connection is one failed attempt, not the end of the process', async () => {
  const { url } = await databases.create();
  const set = await migrations({
    '1_idle.mjs': `import { setTimeout as sleep } from 'node:timers/promises';
export async function up() { await sleep(1000); }`,
  });
  const running = up(url, set);
  const pid = await backendDoing(url, "state = 'idle in transaction'");
  await rowsIn(url, `select pg_terminate_backend(${pid})`);
  expect(await running).toMatchObject({ outcome: 'failed', error: { code: 'CONNECTION_LOST' } });
  expect(await historyOf(url)).toEqual([]);
});

test('engine 12: twenty processes at once apply each migration once, without an error', async () => {
  const { url } = await databases.create();
  const files = Object.fromEntries(
    Array.from({ length: 12 }, (_, index) => [
      `${index + 1}_m.sql`,
      index === 0
        ? 'create table log (n int);'
        : `insert into log values (${index + 1}); select pg_sleep(0.01);`,
    ]),
  );
  const folder = await folderOf(files);
  const runners = await Promise.all(Array.from({ length: 20 }, () => startRunner(url, folder)));
  const ends = await Promise.all(runners.map(({ finished }) => finished));
  const results = ends.map(
    ({ output }) => JSON.parse(output) as { outcome: string; error?: string; applied: unknown[] },
  );
  expect(results.flatMap(({ error }) => error ?? [])).toEqual([]);
  expect(results.reduce((sum, { applied }) => sum + applied.length, 0)).toBe(12);
  expect(await historyOf(url)).toEqual(Array.from({ length: 12 }, (_, index) => `${index + 1}_m applied`));
  expect(await rowsIn(url, 'select count(*)::int as count from log')).toEqual([{ count: 11 }]);
}, 120_000);

test('fleet 6: a run told to stop finishes the migration it is in; told to cancel, it rolls that back', async () => {
  const { url } = await databases.create();
  const set = await migrations({
    '1_t.sql': 'create table log (what text);',
    '2_slow.sql': "insert into log values ('two'); select pg_sleep(1);",
    '3_slow.sql': "insert into log values ('three'); select pg_sleep(30);",
  });
  const stop = new AbortController();
  const stopped = up(url, set, { signal: stop.signal });
  await backendDoing(url, "wait_event = 'PgSleep'");
  stop.abort();
  expect(await stopped).toMatchObject({ to: '2_slow', error: { code: 'INTERRUPTED' } });
  expect(await historyOf(url)).toEqual(['1_t applied', '2_slow applied']);

  const cancel = new AbortController();
  const cancelled = up(url, set, { cancel: cancel.signal });
  await backendDoing(url, "wait_event = 'PgSleep'");
  cancel.abort();
  expect(await cancelled).toMatchObject({
    outcome: 'failed',
    error: { code: 'INTERRUPTED', migration: '3_slow' },
  });
  expect(await historyOf(url)).toEqual(['1_t applied', '2_slow applied']);
  expect(await rowsIn(url, 'select what from log')).toEqual([{ what: 'two' }]);
});
