import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { cli, startCli } from '../helpers/cli.ts';
import { closeGate, GATE, withDatabases } from '../helpers/database.ts';
import { makeFleet, type TestFleet } from '../helpers/fleet.ts';

const databases = withDatabases();

/** Runs the command in the fleet's folder; its configuration is a file there. */
async function inFolder(fleet: TestFleet): Promise<(...args: string[]) => ReturnType<typeof cli>> {
  await writeConfig(fleet);
  return (...args) => cli(args, { cwd: fleet.config.root });
}

async function writeConfig(fleet: TestFleet): Promise<void> {
  const migrations = { core: 'core', tenants: 'tenants' };
  const content = { central: fleet.config.central, migrations, pace: { lockWait: '10s' } };
  await fleet.write({ 'mpm-migrate.config.json': JSON.stringify(content) });
}

/** A text without what differs from run to run. */
function steady(text: string): string {
  return text.replaceAll(/\d+\.\d+s/g, '0.0s').replaceAll(/\bt[0-9a-f]{8}_\d+_/g, '');
}

describe('up', () => {
  test('a fleet with one failing tenant: the report on stdout, exit code 3, and 0 when it is tried again', async () => {
    const fleet = await makeFleet(databases, { count: 5 });
    const mpm = await inFolder(fleet);
    await mpm('up', '--all', '--to', '1');
    await fleet.of(fleet.tenants[2], 'alter table meters add note text');

    const failed = await mpm('up', '--all');
    expect(failed.code).toBe(3);
    expect(steady(failed.stdout)).toMatchInlineSnapshot(`
      "✖ company-3    2_note
          column "note" of relation "meters" already exists  (42701)
          core/2_note.sql:2:1
            1 │ -- migrate:up
          ▸ 2 │ alter table meters add note text;
              │ ^
            3 │ -- migrate:down
          Still at 1_meters: the migration was rolled back.
          Look:  mpm-migrate status --tenant 3

      ✔ 4 migrated   ✖ 1 failed   5 tenants in 0.0s   run 2
      Retry:  mpm-migrate up --failed=2
      "
    `);
    expect(failed.stderr).toContain('Migrating 5 tenants (--all, run 2)');

    await fleet.of(fleet.tenants[2], 'alter table meters drop note');
    const again = await mpm('up', '--failed');
    expect(again.code).toBe(0);
    expect(steady(again.stdout)).toMatchInlineSnapshot(`
      "✔ 1 migrated   1 tenant in 0.0s   run 3
      "
    `);
  });

  test('--json prints the report itself, and nothing else on stdout', async () => {
    const fleet = await makeFleet(databases, { count: 2 });
    const mpm = await inFolder(fleet);
    const { code, stdout } = await mpm('up', '--tenant', '1', '--json');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      run: 1,
      verb: 'up',
      selection: '--tenant 1',
      counts: { total: 1, migrated: 1 },
      tenants: [{ tenant: { id: '1' }, outcome: 'migrated', from: null, to: '2_note' }],
    });
  });

  test('usage: no selection, --force with --all, an unknown tenant, an unknown migration', async () => {
    const fleet = await makeFleet(databases, { count: 1 });
    const mpm = await inFolder(fleet);
    for (const [args, said] of [
      [['up'], 'Select tenants: --all, --tenant 42'],
      [['up', '--all', '--force'], '--force requires --tenant'],
      [['up', '--tenant', 'nobody'], 'Unknown tenant "nobody"'],
      [['up', '--all', '--to', '99'], '--to 99: no such migration'],
      [['up', '--all', '--max-failures', '0'], '--max-failures 0'],
      [['down'], 'Select tenants'],
    ] as const) {
      const { code, stdout, stderr } = await mpm(...args);
      expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
      expect(stderr).toContain(said);
    }
    expect(await fleet.central('select * from mpm_migrate.runs')).toEqual([]);
  });

  test('exit code 5 when another runner holds the only tenant', async () => {
    const fleet = await makeFleet(databases, {
      count: 1,
      files: { 'core/1_slow.sql': GATE },
    });
    const mpm = await inFolder(fleet);
    const gate = await closeGate(fleet.tenants[0]?.database ?? '');
    const first = mpm('up', '--all');
    await gate.reached();
    const second = await mpm('up', '--all', '--lock-wait', '200ms');
    await gate.open();
    expect(second.code).toBe(5);
    expect((await first).code).toBe(0);
  });
});

describe('signals', () => {
  test('fleet 9: kill -9 in the middle: the dead run shows as interrupted, the next up repeats nothing and loses nothing', async () => {
    const files = {
      'core/1_a.sql': 'create table a ();',
      'core/2_b.sql': `create table b (); ${GATE}`,
    };
    const fleet = await makeFleet(databases, { count: 8, files });
    const mpm = await inFolder(fleet);
    const gate = await closeGate(fleet.tenants[5]?.database ?? '');
    const { child, result } = await startCli(['up', '--all', '--concurrency', '2'], {
      cwd: fleet.config.root,
    });
    await gate.reached();
    child.kill('SIGKILL');
    await result;
    await gate.open();

    const { stdout } = await mpm('run', 'list', '--json');
    expect(JSON.parse(stdout)).toMatchObject({ runs: [{ number: 1, outcome: 'interrupted' }] });
    const again = await mpm('up', '--failed', '--json');
    expect(again.code).toBe(0);
    const all = await mpm('up', '--all', '--json');
    expect(JSON.parse(all.stdout)).toMatchObject({ counts: { total: 8, current: 8 } });
    for (const tenant of fleet.tenants) expect(await fleet.historyOf(tenant)).toEqual(['1_a', '2_b']);
  });

  test('fleet 6, 48: SIGHUP as SIGTERM: what is in work is finished, exit code 130', async () => {
    const fleet = await makeFleet(databases, {
      count: 6,
      files: { 'core/1_slow.sql': 'select pg_sleep(0.8);' },
    });
    const mpm = await inFolder(fleet);
    const { child, result } = await startCli(['up', '--all', '--concurrency', '2'], {
      cwd: fleet.config.root,
    });
    await sleeping(2);
    child.kill('SIGHUP');
    const { code, stdout, stderr } = await result;
    expect(code).toBe(130);
    expect(stderr).toContain('Stopping');
    expect(steady(stdout)).toMatchInlineSnapshot(`
      "– 4 skipped: not tried: the run was interrupted

      ✔ 2 migrated   4 skipped   6 tenants in 0.0s   run 1
      Interrupted: finished work is recorded. Continue:  mpm-migrate up --failed=1
      "
    `);
    const again = await mpm('up', '--failed', '--json');
    expect(JSON.parse(again.stdout)).toMatchObject({ counts: { total: 4, migrated: 4 } });
  });
});

describe('status and run', () => {
  test('status --exit-code ends with 4 when something is pending; run list and run show tell what happened', async () => {
    const fleet = await makeFleet(databases, { count: 3 });
    const mpm = await inFolder(fleet);
    const pending = await mpm('status', '--exit-code');
    expect(pending.code).toBe(4);
    expect(steady(pending.stdout)).toMatchInlineSnapshot(`
      "  TENANT     STATE    HEAD    APPLIED  PENDING
      › company-1  pending  (none)        0        2
      › company-2  pending  (none)        0        2
      › company-3  pending  (none)        0        2

      › 3 pending   3 tenants in 0.0s
      Migrate the three:   mpm-migrate up --behind
      "
    `);
    expect((await mpm('status')).code).toBe(0);
    await mpm('up', '--all', '--exclude', '2');
    await mpm('up', '--all');
    const current = await mpm('status', '--exit-code');
    expect(current.code).toBe(0);
    expect(steady(current.stdout)).toMatchInlineSnapshot(`
      "  TENANT     STATE    HEAD    APPLIED  PENDING
      ✔ company-1  current  2_note        2        0
      ✔ company-2  current  2_note        2        0
      ✔ company-3  current  2_note        2        0

      ✔ 3 current   3 tenants in 0.0s
      "
    `);

    const list = await mpm('run', 'list', '--json');
    expect(JSON.parse(list.stdout)).toMatchObject({
      runs: [
        { number: 2, selection: '--all', outcome: 'done' },
        { number: 1, selection: '--all --exclude 2', outcome: 'done' },
      ],
    });
    const show = await mpm('run', 'show', '1', '--json');
    expect(JSON.parse(show.stdout)).toMatchObject({
      run: { number: 1, total: 2, counts: { migrated: 2 } },
      tenants: [{ outcome: 'migrated' }, { outcome: 'migrated' }],
    });
    const failed = await mpm('run', 'show', '--failed', '--json');
    expect(JSON.parse(failed.stdout)).toMatchObject({ run: { number: 2 }, tenants: [] });
    expect((await mpm('run', 'show', '99')).code).toBe(2);
  });

  test('down takes back the last migration of the named tenant', async () => {
    const fleet = await makeFleet(databases, { count: 2 });
    const mpm = await inFolder(fleet);
    await mpm('up', '--all');
    const { code, stdout } = await mpm('down', '--tenant', '2');
    expect(code).toBe(0);
    expect(steady(stdout)).toMatchInlineSnapshot(`
      "✔ company-2  2_note → 1_meters  1 in 0.0s
          - 2_note  0.0s

      ✔ 1 reverted   1 tenant in 0.0s   run 2
      "
    `);
    expect(await fleet.historyOf(fleet.tenants[0])).toEqual(['1_meters', '2_note']);
    expect(await fleet.historyOf(fleet.tenants[1])).toEqual(['1_meters']);
  });
});

/** Waits until so many of this file's databases run a migration that sleeps. */
async function sleeping(count: number): Promise<void> {
  for (;;) {
    const rows = await databases.query(
      `select from pg_stat_activity where starts_with(datname, '${databases.prefix}')
       and wait_event = 'PgSleep'`,
    );
    if (rows.length >= count) return;
    await sleep(20);
  }
}
