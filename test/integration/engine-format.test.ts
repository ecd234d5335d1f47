import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from 'vitest';
import { inspect } from '../../src/engine/history/lost.ts';
import { parseStamp } from '../../src/engine/history/stamp.ts';
import { withDatabases } from '../helpers/database.ts';
import {
  down,
  historyOf,
  migrations,
  rowsIn,
  SELECT_FINGERPRINT,
  up,
  withFolders,
} from '../helpers/engine.ts';
import { OPTIONS, targetOf } from '../helpers/options.ts';

const databases = withDatabases();
withFolders();

const FILES = {
  '1_a.sql': '-- migrate:up\ncreate table a ();\n-- migrate:down\ndrop table a;\n',
  '2_b.sql': '-- migrate:up\ncreate table b ();\n-- migrate:down\ndrop table b;\n',
};
const THIRD = { '3_c.sql': '-- migrate:up\ncreate table c ();\n-- migrate:down\ndrop table c;\n' };

const sum = (text: string) => `v1:${createHash('sha256').update(text).digest('hex')}`;

/** As version 0.1.0 enters a migration that it has applied. */
const enter = (position: number, name: string, checksum: string) =>
  `insert into "mpm_migrate"."history" (position, name, version, checksum, state, started_at, finished_at, tool_version, run_id, database_user, actor, source)
values (${position}, '${name}', '${name.charAt(0)}', '${checksum}', 'applied', pg_catalog.transaction_timestamp(), pg_catalog.clock_timestamp(), '0.1.0', '1', session_user, null, 'core')`;

/** A database as version 0.1.0 left it, with its head stamp. */
async function madeByOld(files: Record<string, string> = FILES): Promise<{ url: string; name: string }> {
  const { url, name } = await databases.create();
  await rowsIn(url, await readFile(path.join(import.meta.dirname, '../fixtures/history-0.1.0.sql'), 'utf8'));
  let lines = '';
  for (const [index, [file, text]] of Object.entries(files).entries()) {
    const migration = file.replace(/\.\w+$/, '');
    await rowsIn(url, `create table ${migration.slice(2)} (); ${enter(index + 1, migration, sum(text))}`);
    lines += `${migration} ${sum(text)}\n`;
  }
  const fingerprint = createHash('sha256').update(lines).digest('hex');
  await rowsIn(
    url,
    `comment on database "${name}" is 'Ours [mpm-migrate:1:${Object.keys(files).length}:${fingerprint}]'`,
  );
  return { url, name };
}

async function commentOf(url: string): Promise<string | null> {
  const [row] = await rowsIn<{ comment: string | null }>(
    url,
    "select shobj_description(oid, 'pg_database') as comment from pg_database where datname = current_database()",
  );
  return row?.comment ?? null;
}

/** It is this version's, and its stamp says what is there. */
async function isTakenOver(url: string): Promise<void> {
  const rows = await rowsIn<{ checksum: string; format: number }>(
    url,
    'select checksum, format from mpm_migrate.history order by position',
  );
  expect(rows.map(({ checksum, format }) => [checksum.slice(0, 3), format])).toEqual(
    rows.map(() => ['v2:', 2]),
  );
  const [found] = await rowsIn<{ count: number; fingerprint: string }>(url, SELECT_FINGERPRINT);
  expect(parseStamp(await commentOf(url))).toEqual(found);
  expect(await commentOf(url)).toMatch(/^Ours \[mpm-migrate:2:[^\]]*\]$/);
}

test('engine 57: a history of 0.1.0 is read as it is, by a role that only reads', async () => {
  const { url, name } = await madeByOld();
  const role = `${name}_reader`;
  await rowsIn(
    url,
    `create role ${role} login password 'x'; grant usage on schema mpm_migrate to ${role}; grant select on mpm_migrate.history to ${role}`,
  );
  try {
    const reader = new URL(url);
    reader.username = role;
    reader.password = 'x';
    const set = await migrations({ ...FILES, ...THIRD });
    const before = await commentOf(url);
    const { plan, count } = await inspect(targetOf(reader.href), set, OPTIONS);
    expect(count).toBe(2);
    expect(plan).toMatchObject({ refusals: [], pending: [{ name: '3_c' }], head: '2_b' });
    expect(await commentOf(url)).toBe(before);
    const columns = await rowsIn(
      url,
      "select from pg_attribute where attrelid = 'mpm_migrate.history'::regclass and attname = 'format'",
    );
    expect(columns).toEqual([]);
  } finally {
    await rowsIn(url, `drop owned by ${role}; drop role ${role}`);
  }
});

test('engine 57: the first write takes it over: an up with nothing to do, with something, a down', async () => {
  const idle = await madeByOld();
  const set = await migrations(FILES);
  expect(await up(idle.url, set)).toMatchObject({ outcome: 'current', applied: [] });
  await isTakenOver(idle.url);
  const fresh = await databases.create();
  await up(fresh.url, set);
  expect(parseStamp(await commentOf(idle.url))).toEqual(parseStamp(await commentOf(fresh.url)));

  for (const text of [THIRD['3_c.sql'], THIRD['3_c.sql'].replace('up\n', 'up transaction:false\n')]) {
    const { url } = await madeByOld();
    const three = await migrations({ ...FILES, '3_c.sql': text });
    expect(await up(url, three)).toMatchObject({ outcome: 'migrated', applied: [{ name: '3_c' }] });
    await isTakenOver(url);
  }

  const back = await madeByOld();
  expect(await down(back.url, set)).toMatchObject({ outcome: 'reverted' });
  expect(await historyOf(back.url)).toEqual(['1_a applied']);
  await isTakenOver(back.url);
});

test('engine 34, 57: a history of 0.1.0 that something hangs on is not taken over', async () => {
  const { url } = await madeByOld();
  await rowsIn(
    url,
    `create table seen (who text);
create function canary() returns trigger language plpgsql as $$ begin insert into public.seen values (current_user); return new; end $$;
create trigger canary before update on mpm_migrate.history for each row execute function canary()`,
  );
  const refused = { outcome: 'refused', error: { code: 'HISTORY_UNTRUSTED' } };
  expect(await up(url, await migrations(FILES))).toMatchObject(refused);
  expect(await up(url, await migrations({ ...FILES, ...THIRD }))).toMatchObject(refused);
  expect(await down(url, await migrations(FILES))).toMatchObject(refused);
  expect(await rowsIn(url, 'select * from public.seen')).toEqual([]);
});

test('engine 57: an empty history of 0.1.0, and one that was left half-done', async () => {
  const { url } = await madeByOld({});
  expect(await up(url, await migrations(FILES))).toMatchObject({ outcome: 'migrated', to: '2_b' });
  await isTakenOver(url);

  const half = await madeByOld();
  await rowsIn(
    half.url,
    "update mpm_migrate.history set state = 'failed', statements = 1, statement_hashes = array['x'], finished_at = null where position = 2; drop table b",
  );
  const set = await migrations({
    ...FILES,
    '2_b.sql': '-- migrate:up transaction:false\ncreate table b ();',
  });
  expect(await up(half.url, set)).toMatchObject({ outcome: 'refused' });
  expect(await up(half.url, set, { force: true })).toMatchObject({ outcome: 'migrated' });
  await isTakenOver(half.url);
});

test('engine 57: rows of files that were changed since keep the rule of the whole file', async () => {
  const { url } = await madeByOld();
  const changed = { ...FILES, '2_b.sql': FILES['2_b.sql'].replace('drop table b', 'drop table if exists b') };
  const set = await migrations(changed);
  expect(await up(url, set)).toMatchObject({ outcome: 'refused', error: { code: 'PLAN_REFUSED' } });
  expect(await up(url, await migrations({ ...changed, ...THIRD }), { force: true })).toMatchObject({
    outcome: 'migrated',
  });
  const rows = await rowsIn<{ checksum: string }>(
    url,
    'select checksum from mpm_migrate.history order by position',
  );
  expect(rows.map(({ checksum }) => checksum.slice(0, 3))).toEqual(['v2:', 'v1:', 'v2:']);
  expect(await up(url, set)).toMatchObject({ outcome: 'refused' });
  // Restored, it is as any other.
  expect(await up(url, await migrations({ ...FILES, ...THIRD }))).toMatchObject({ outcome: 'current' });
  await isTakenOver(url);
});

test('engine 57: a process of 0.1.0 beside this one is refused by the table: it enters nothing', async () => {
  const { url } = await madeByOld();
  await up(url, await migrations(FILES));
  const old = rowsIn(url, `begin; create table c (); ${enter(3, '3_c', sum('x'))}; commit`);
  await expect(old).rejects.toMatchObject({ code: '23502' });
  expect(await historyOf(url)).toEqual(['1_a applied', '2_b applied']);
  // What it still can do it does with a stamp of its own behind ours: neither is taken for the truth.
  const { name } = (await rowsIn<{ name: string }>(url, 'select current_database()::text as name'))[0] ?? {};
  await rowsIn(
    url,
    `comment on database "${name}" is '${await commentOf(url)} [mpm-migrate:1:1:${'0'.repeat(64)}]'`,
  );
  expect(parseStamp(await commentOf(url))).toBeUndefined();
  await up(url, await migrations(FILES));
  await isTakenOver(url);
});

test('engine 57: a newer format is refused by its number, and nothing is written', async () => {
  const { url } = await databases.create();
  const set = await migrations({ ...FILES, ...THIRD });
  await up(url, await migrations(FILES));
  await rowsIn(url, 'update mpm_migrate.history set format = 3 where position = 2');
  const refused = { outcome: 'refused', error: { code: 'HISTORY_NEWER' } };
  const result = await up(url, set, { force: true });
  expect(result).toMatchObject(refused);
  expect(result.error?.message).toContain('format 3');
  expect(await down(url, set)).toMatchObject(refused);
  await expect(inspect(targetOf(url), set, OPTIONS)).rejects.toMatchObject({
    code: 'HISTORY_NEWER',
  });
  expect(await historyOf(url)).toEqual(['1_a applied', '2_b applied']);
});

test('engine 56: a down section that is added makes no file changed, and down takes it', async () => {
  const { url } = await databases.create();
  await up(url, await migrations({ '1_a.sql': 'create table a ();' }));
  const stamp = await commentOf(url);
  const mended = await migrations({
    '1_a.sql': '-- migrate:up\ncreate table a ();\n\n-- migrate:down\ndrop table a;',
  });
  expect(await up(url, mended)).toMatchObject({ outcome: 'current' });
  expect(await commentOf(url)).toBe(stamp);
  expect(await down(url, mended)).toMatchObject({ outcome: 'reverted' });
  expect(await rowsIn(url, "select from pg_class where relname = 'a'")).toEqual([]);
});
