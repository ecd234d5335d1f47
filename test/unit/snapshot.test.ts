import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { planAfter } from '../../src/engine/known-plan.ts';
import { findMigration, planUp } from '../../src/engine/plan.ts';
import { fingerprintOf } from '../../src/engine/history/state.ts';
import { scan } from '../../src/engine/sql/scan.ts';
import { replacesLine, replacesOf, snapshotOf } from '../../src/engine/source/snapshot.ts';
import { readMigrations } from '../../src/engine/source/source.ts';

const FILES = {
  '1_a.php': '<?php return new class {};',
  '2_b.sql': 'create table b (i int);',
  '3_c.sql': 'create table c (i int);',
  '4_d.sql': 'create table d (i int);',
};

async function folderWith(files: Record<string, string>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'mpm-snapshot-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  return folder;
}

async function setWithSnapshot(more: Record<string, string> = {}) {
  const { migrations } = await readMigrations(await folderWith(FILES), 'core');
  const text = `${replacesLine(migrations.slice(0, 3))}\ncreate table b (i int); create table c (i int);\n`;
  return folderWith({ ...FILES, '5_snapshot.sql': text, ...more });
}

test('histories 7: where nothing is applied, a snapshot takes the place of what it stands for, and nowhere else', async () => {
  const { migrations } = await readMigrations(await setWithSnapshot(), 'core');
  expect(migrations.map(({ name }) => name)).toEqual(['1_a', '2_b', '3_c', '4_d']);
  for (const plan of [planUp(migrations, []), planAfter(migrations, 0)]) {
    expect(plan.refusals).toEqual([]);
    expect(plan.pending.map(({ name, path }) => [name, path.slice(-14)])).toEqual([
      ['3_c', '5_snapshot.sql'],
      ['4_d', expect.stringContaining('4_d.sql')],
    ]);
    expect(plan.pending[0]?.replaces?.map(({ name }) => name)).toEqual(['1_a', '2_b', '3_c']);
    expect(plan.entries.map(({ state }) => state)).toEqual(Array<string>(4).fill('pending'));
  }
  // What it stands for is no longer whole: of a limit in between, and where a part is applied.
  expect(planAfter(migrations, 0, { to: '2_b' }).refusals).toHaveLength(1);
  expect(planAfter(migrations, 1).pending.map(({ name }) => name)).toEqual(['2_b', '3_c', '4_d']);
  expect(planAfter(migrations, 3).pending.map(({ replaces }) => replaces)).toEqual([undefined]);
  expect(findMigration(migrations, '5_snapshot').name).toBe('3_c');
});

test('histories 7: a snapshot of other files than these is an error in core, and passed by in a tenant', async () => {
  const folder = await setWithSnapshot({ '2_b.sql': 'create table b (i bigint);' });
  await expect(readMigrations(folder, 'core')).rejects.toMatchObject({
    code: 'MIGRATION_INVALID',
    message: expect.stringContaining('5_snapshot.sql: it stands for 1_a..3_c') as string,
  });
  const { migrations } = await readMigrations(folder, 'tenant');
  expect(migrations.map(({ name, snapshot }) => [name, snapshot])).toEqual(
    ['1_a', '2_b', '3_c', '4_d'].map((name) => [name, undefined]),
  );
});

test('histories 7: its first line is the fingerprint of the stretch', async () => {
  const { migrations } = await readMigrations(await folderWith(FILES), 'core');
  const line = replacesLine(migrations);
  expect(replacesOf(line.slice(3))).toEqual({
    stretch: '1_a..4_d',
    fingerprint: fingerprintOf(migrations, 4),
  });
  expect(replacesOf('mpm:replaces 1_a..4_d sha256:1')).toBeUndefined();
});

test.each(['15', '18'])(
  "histories 7: pg_dump %s's output leaves no setting behind, and differs by nothing of its own",
  async (version) => {
    const dump = await readFile(join(import.meta.dirname, `../fixtures/pg_dump-${version}.sql`), 'utf8');
    const text = snapshotOf(`${dump}\nCOMMENT ON EXTENSION citext IS 'x';\n`);
    expect(text).not.toMatch(/restrict|Dumped|transaction_timeout|COMMENT ON EXTENSION|^SET (?!LOCAL)/m);
    expect(text).toContain("set_config('search_path', '', true)");
    const bodies = (sql: string) => scan(sql).statements.map(({ start, end }) => sql.slice(start, end));
    const kept = bodies(dump).filter(
      (each) => !/^(?:SET|SELECT pg_catalog.set_config|COMMENT ON EXTENSION)/.test(each),
    );
    expect(bodies(text)).toEqual(expect.arrayContaining(kept));
  },
);
