import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { cli } from '../helpers/cli.ts';
import { testServer, withDatabases } from '../helpers/database.ts';
import { makeFleet, type TestFleet } from '../helpers/fleet.ts';

const databases = withDatabases();

/** Runs the command in the fleet's folder; its configuration is a file there. */
async function inFolder(fleet: TestFleet): Promise<(...args: string[]) => ReturnType<typeof cli>> {
  const migrations = { core: 'core', tenants: 'tenants' };
  const content = { central: fleet.config.central, migrations };
  await fleet.write({ 'mpm-migrate.config.json': JSON.stringify(content) });
  return (...args) => cli(args, { cwd: fleet.config.root });
}

/** A text without what differs from run to run. */
function steady(text: string): string {
  return text.replaceAll(/\d+\.\d+s/g, '0.0s').replaceAll(/\bt[0-9a-f]{8}_\d+_/g, '');
}

describe('plan', () => {
  test('fleet 22: groups of equal plans, refusals with their remedy, and what would be sent', async () => {
    const fleet = await makeFleet(databases, { count: 4 });
    const mpm = await inFolder(fleet);
    await mpm('up', '--tenant', '1', '--tenant', '2', '--to', '1');
    await fleet.of(fleet.tenants[1], "update mpm_migrate.history set checksum = 'v1:0'");
    const { code, stdout } = await mpm('plan', '--sql');
    expect(code).toBe(0);
    expect(steady(stdout)).toMatchInlineSnapshot(`
      "-- 1_meters  (core/1_meters.sql, 2 tenants)
      create table meters (id int primary key);

      -- 2_note  (core/2_note.sql, 4 tenants)
      alter table meters add note text;

      › 2 tenants: 2 pending
          company-3 and company-4
          + 1_meters
          + 2_note

      › 1 tenant: 1 pending
          company-1
          + 2_note

      ✖ 1 tenant: refused
          company-2
          1_meters was changed after it was applied
          restore the file, or accept it: mpm-migrate repair 1_meters --tenant 2 --checksums --write

      › 3 pending   ✖ 1 refused   4 tenants in 0.0s
      Apply:  mpm-migrate up --all
      "
    `);
    expect((await mpm('plan', '--exit-code')).code).toBe(4);
    const dry = await mpm('up', '--all', '--dry-run', '--json');
    expect(dry.code).toBe(0);
    expect(JSON.parse(dry.stdout)).toMatchObject({
      verb: 'plan',
      counts: { total: 4, pending: 3, refused: 1 },
      groups: [
        { outcome: 'pending', count: 2, pending: ['1_meters', '2_note'] },
        { outcome: 'pending', count: 1, pending: ['2_note'] },
        { outcome: 'refused', count: 1, refusals: [{ state: 'changed', names: ['1_meters'] }] },
      ],
    });
    expect(await fleet.historyOf(fleet.tenants[0])).toEqual(['1_meters']);
    const unknown = await mpm('plan', '--to', '99');
    expect(unknown).toMatchObject({ code: 2, stdout: '' });
    expect(unknown.stderr).toContain('--to 99: no such migration');
  });
});

describe('repair', () => {
  test('engine 25: shows first, writes with --write, and then nothing is left to repair', async () => {
    const fleet = await makeFleet(databases, { count: 3 });
    const mpm = await inFolder(fleet);
    await mpm('up', '--all');
    await fleet.write({ 'core/1_meters.sql': 'create table meters (id bigint primary key);' });
    const refused = await mpm('up', '--tenant', '1');
    expect(refused.code).toBe(3);
    expect(refused.stdout).toContain('mpm-migrate repair 1_meters --tenant 1 --checksums --write');

    const shown = await mpm('repair', '1_meters', '--all', '--checksums');
    expect(shown.code).toBe(0);
    expect(steady(shown.stdout)).toMatchInlineSnapshot(`
      "› 3 tenants: 1 to be accepted as it is now
          company-1, company-2 and company-3
          ~ 1_meters

      › 3 to change   3 tenants in 0.0s
      Nothing was written. To write:   mpm-migrate repair 1_meters --all --checksums --write
      "
    `);
    expect((await mpm('up', '--tenant', '1')).code).toBe(3);
    const written = await mpm('repair', '--all-names', '--all', '--checksums', '--write', '--actor', 'me');
    expect(written.code).toBe(0);
    expect(steady(written.stdout)).toMatchInlineSnapshot(`
      "✔ 3 tenants: 1 accepted as it is now
          company-1, company-2 and company-3
          ~ 1_meters

      ✔ 3 changed   3 tenants in 0.0s
      "
    `);
    expect((await mpm('up', '--all')).code).toBe(0);
    expect(
      await fleet.of(fleet.tenants[2], 'select action, name, actor from mpm_migrate.history_journal'),
    ).toEqual([{ action: 'accept', name: '1_meters', actor: 'me' }]);
    const nothing = await mpm('repair', '--all-names', '--all', '--checksums', '--write');
    expect(nothing.code).toBe(0);
    expect(steady(nothing.stdout)).toMatchInlineSnapshot(`
      "✔ 3 unchanged   3 tenants in 0.0s
      "
    `);
  });

  test('bad input', async () => {
    const fleet = await makeFleet(databases, { count: 1 });
    const mpm = await inFolder(fleet);
    await mpm('up', '--all');
    for (const [args, said] of [
      [['--all', '--checksums'], 'No migration was named'],
      [['1_meters', '--all-names', '--all', '--checksums'], "can't be combined"],
      [['1_meters', '--all'], 'Nothing to repair was named'],
      [['1_meters', '--checksums'], 'No tenants selected'],
      [['1_meters', '--all', '--checksums', '--missing'], "can't be combined"],
      [['1_meters', '--all', '--checksums'], '1_meters: not changed anywhere in --all'],
      [['9_nothing', '--all', '--missing'], '9_nothing: not missing anywhere in --all'],
      [['1_meters', '--tenant', 'nobody', '--checksums'], 'Unknown tenant "nobody"'],
    ] as const) {
      const { code, stdout, stderr } = await mpm('repair', ...args);
      expect({ args, code, stdout }).toEqual({ args, code: 2, stdout: '' });
      expect(stderr).toContain(said);
    }
  });
});

test('engine 24: a database with tables and no history is refused, baseline is named, and up goes on from there', async () => {
  const fleet = await makeFleet(databases, { count: 2 });
  const mpm = await inFolder(fleet);
  for (const tenant of fleet.tenants) await fleet.of(tenant, 'create table meters (id int primary key)');
  const refused = await mpm('up', '--tenant', '1');
  expect(refused.code).toBe(3);
  expect(refused.stdout).toContain('mpm-migrate baseline --tenant 1 --to NAME --write');
  const shown = await mpm('baseline', '--all', '--to', '1');
  expect(shown.code).toBe(0);
  expect(steady(shown.stdout)).toMatchInlineSnapshot(`
    "› 2 tenants: 1 to be recorded, not run
        company-1 and company-2
        + 1_meters

    › 2 to change   2 tenants in 0.0s
    Nothing was written. To write:   mpm-migrate baseline --all --to 1 --write
    "
  `);
  expect((await mpm('baseline', '--all', '--to', '1', '--write')).code).toBe(0);
  const again = await mpm('baseline', '--all', '--to', '1', '--write', '--json');
  expect(JSON.parse(again.stdout)).toMatchObject({ counts: { total: 2, changed: 0, unchanged: 2 } });
  expect((await mpm('up', '--all')).code).toBe(0);
  expect(await fleet.historyOf(fleet.tenants[1])).toEqual(['2_note']);
  for (const [args, said] of [
    [['--all'], 'a baseline needs --to, --from, or --snapshot'],
    [['--all', '--to', '1', '--from', 'knex'], "can't be combined"],
    [['--all', '--from', 'rails'], '--from rails requires --to NAME'],
    [['--all', '--to', '99'], '--to 99: no such migration'],
    [['--all', '--to', '1', '--table', 'x'], '--table requires --from'],
    [['--to', '1'], 'No tenants selected'],
  ] as const) {
    const { code, stdout, stderr } = await mpm('baseline', ...args);
    expect({ args, code, stdout }).toEqual({ args, code: 2, stdout: '' });
    expect(stderr).toContain(said);
  }
  const none = await mpm('baseline', '--tenant', '1', '--from', 'knex');
  expect(none.code).toBe(3);
  expect(none.stdout).toContain("the table knex_migrations doesn't exist");
});

test('engine 10: a half-done migration: where it stopped, resolve in three ways', async () => {
  const files = {
    'core/1_half.sql':
      '-- migrate:up transaction:false\ncreate table a ();\ncreate table b ();\ncreate table b ();\ncreate table c ();\n',
  };
  const fleet = await makeFleet(databases, { count: 3, files });
  const mpm = await inFolder(fleet);
  const failed = await mpm('up', '--all');
  expect(failed.code).toBe(3);
  expect(failed.stdout).toContain('stopped at statement 3 of 4');
  const status = await mpm('status', '--tenant', '1');
  expect(steady(status.stdout).replaceAll(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/g, 'then')).toMatchInlineSnapshot(`
    "company-1  id 1, database c1 on default
      MIGRATION  STATE   APPLIED AT (UTC)     TOOK  RUN  BY
    ✖ 1_half     failed  then  0.0s    1  postgres
        stopped at statement 3 of 4: relation "b" already exists

    ✖ company-1  1 failed
        fix the cause, and then resume: mpm-migrate up --tenant 1 --force
        this one alone: mpm-migrate resolve 1_half --tenant 1 --retry
        if you finished it by hand: mpm-migrate resolve 1_half --tenant 1 --applied
        if you reverted what it did: mpm-migrate resolve 1_half --tenant 1 --rolled-back

    ✖ 1 drifted   1 tenant in 0.0s
    "
  `);
  const json = JSON.parse((await mpm('status', '--tenant', '1', '--json')).stdout) as object;
  expect(json).toMatchObject({
    history: [{ name: '1_half', state: 'failed', statementsDone: 2, statements: 4 }],
  });

  for (const tenant of fleet.tenants.slice(0, 2)) await fleet.of(tenant, 'drop table b');
  const retry = await mpm('resolve', '1_half', '--tenant', '1', '--retry');
  expect(retry).toMatchObject({ code: 0 });
  expect(await fleet.of(fleet.tenants[0], "select to_regclass('c') is not null as c")).toEqual([{ c: true }]);
  const back = await mpm('resolve', '1_half', '--tenant', '2', '--rolled-back');
  expect(back.code).toBe(0);
  expect(steady(back.stdout)).toMatchInlineSnapshot(`
    "✔ company-2: 1 forgotten
        - 1_half

    ✔ 1 changed   1 tenant in 0.0s
    "
  `);
  const applied = await mpm('resolve', '1_half', '--tenant', '3', '--applied');
  expect(applied.code).toBe(0);
  expect(steady(applied.stdout)).toMatchInlineSnapshot(`
    "✔ company-3: 1 marked as applied
        ~ 1_half

    ✔ 1 changed   1 tenant in 0.0s
    "
  `);
  expect(await fleet.historyOf(fleet.tenants[2])).toEqual(['1_half']);

  for (const [args, said] of [
    [['1_half', '--tenant', '3', '--applied'], 'it is applied'],
    [['1_half', '--tenant', '3', '--retry'], "isn't failed or interrupted"],
    [['1_half', '--tenant', '3', '--applied', '--rolled-back'], "can't be combined"],
    [['1_half', '--tenant', '3'], 'No resolution was given'],
    [['9_nothing', '--tenant', '3', '--applied'], 'there is no such migration'],
    [['1_half', '--tenant', '1..3', '--applied'], 'this command takes one tenant'],
    [['1_half', '--tenant', '77', '--applied'], 'Unknown tenant "77"'],
    [['1_half', '--applied'], 'Missing required flag tenant'],
    [['--tenant', '3', '--applied'], 'Missing argument'],
  ] as const) {
    const { code, stdout, stderr } = await mpm('resolve', ...args);
    expect({ args, code, stdout }).toEqual({ args, code: 2, stdout: '' });
    expect(stderr).toContain(said);
  }
});

test('engine 40: a statement whose end nobody knows: --force does not guess, --retry and --skip say it', async () => {
  const files = {
    'core/1_do.sql':
      '-- migrate:up transaction:false\ncreate table a (n int);\ndo $$ begin insert into a values (1); commit; end $$;\ncreate table c ();\n',
  };
  const fleet = await makeFleet(databases, { count: 2, files });
  const mpm = await inFolder(fleet);
  expect(await mpm('up', '--all')).toMatchObject({ code: 0 });
  for (const tenant of fleet.tenants) {
    await fleet.of(
      tenant,
      "drop table c; update mpm_migrate.history set state = 'running', statements_done = 1, statement_begun = 2, backend_pid = 1",
    );
  }
  const refused = await mpm('up', '--tenant', '1', '--force');
  expect(refused.code).toBe(3);
  expect(refused.stdout).toContain('mpm-migrate resolve 1_do --tenant 1 --retry');
  expect(refused.stdout).toContain('mpm-migrate resolve 1_do --tenant 1 --skip');
  expect(await mpm('resolve', '1_do', '--tenant', 'company-1', '--skip')).toMatchObject({ code: 0 });
  expect(await fleet.of(fleet.tenants[0], 'select n from a')).toEqual([{ n: 1 }]);
  expect(await mpm('resolve', '1_do', '--tenant', 'company-2', '--retry')).toMatchObject({ code: 0 });
  expect(await fleet.of(fleet.tenants[1], 'select n from a')).toEqual([{ n: 1 }, { n: 1 }]);
  expect(await mpm('status', '--all', '--exit-code')).toMatchObject({ code: 0 });
  const both = await mpm('resolve', '1_do', '--tenant', '1', '--skip', '--retry');
  expect(both).toMatchObject({ code: 2 });
  expect(both.stderr).toContain("can't be combined");
});

test('fresh: only with the name of the database, and then it is new', async () => {
  const fleet = await makeFleet(databases, { count: 2 });
  const mpm = await inFolder(fleet);
  await mpm('up', '--all');
  const [first] = fleet.tenants;
  await fleet.of(first, 'insert into meters values (1)');
  const asked = await mpm('fresh', '--tenant', '1');
  expect(asked).toMatchObject({ code: 2, stdout: '' });
  expect(asked.stderr).toContain(`--confirm ${first?.database}`);
  const wrong = await mpm('fresh', '--tenant', '1', '--confirm', 'company-1');
  expect(wrong).toMatchObject({ code: 2, stdout: '' });
  expect(wrong.stderr).toContain('nothing was done');
  expect(await fleet.of(first, 'select * from meters')).toHaveLength(1);
  for (const [args, said] of [
    [['--tenant', '1..2', '--confirm', 'x'], 'this command takes one tenant'],
    [['--tenant', 'nobody', '--confirm', 'x'], 'Unknown tenant "nobody"'],
    [['--confirm', 'x'], 'Missing required flag tenant'],
  ] as const) {
    const { code, stderr } = await mpm('fresh', ...args);
    expect({ args, code }).toEqual({ args, code: 2 });
    expect(stderr).toContain(said);
  }
  const done = await mpm('fresh', '--tenant', '1', '--confirm', first?.database ?? '');
  expect(done.code).toBe(0);
  expect(steady(done.stdout)).toMatchInlineSnapshot(`
    "✔ company-1 has a new database c1  at 2_note  in 0.0s
    "
  `);
  expect(await fleet.of(first, 'select * from meters')).toEqual([]);
});

test('fleet 42: repair --central shows what it would accept, and does it with --write', async () => {
  const cwd = await mkdtemp(join(tmpdir(), 'mpm-cli-central-'));
  onTestFinished(() => rm(cwd, { recursive: true }));
  const env = { MPM_CENTRAL_URL: testServer(databases.adopt(`${databases.prefix}own_central`).name) };
  const file = join(cwd, 'migrations/central/1_regions.sql');
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, 'create table regions ();');
  expect((await cli(['central', 'up'], { cwd, env })).code).toBe(0);
  await writeFile(file, 'create table regions (id int);');
  const refused = await cli(['central', 'up'], { cwd, env });
  expect(refused.stderr).toContain('mpm-migrate repair 1_regions --central --checksums --write');
  const shown = await cli(['repair', '1_regions', '--central', '--checksums'], { cwd, env });
  expect(shown.stdout).toContain('~ 1_regions  accepted as it is now');
  expect(shown.stdout).toContain('mpm-migrate repair 1_regions --central --checksums --write\n');
  expect((await cli(['repair', '1_regions', '--central', '--checksums', '--write'], { cwd, env })).code).toBe(
    0,
  );
  expect((await cli(['central', 'up'], { cwd, env })).code).toBe(0);
  const both = await cli(['repair', '--central', '--all', '--all-names', '--checksums'], { cwd, env });
  expect(both.code).toBe(2);
});
