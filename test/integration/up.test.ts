import { describe, expect, test } from 'vitest';
import { lastRun, runTenants } from '../../src/central/runs.ts';
import { withCentral } from '../../src/central/central.ts';
import type { RunEvent } from '../../src/fleet/events.ts';
import { Fleet } from '../../src/fleet/fleet.ts';
import { baseline } from '../../src/fleet/verbs/baseline.ts';
import { down } from '../../src/fleet/verbs/down.ts';
import { exec } from '../../src/fleet/verbs/exec.ts';
import { uninstallPlugin } from '../../src/fleet/verbs/plugin-uninstall.ts';
import { status } from '../../src/fleet/verbs/status.ts';
import { sync } from '../../src/fleet/verbs/sync.ts';
import { up } from '../../src/fleet/verbs/up.ts';
import { withDatabases } from '../helpers/database.ts';
import { CORE, makeFleet } from '../helpers/fleet.ts';

const databases = withDatabases();

describe('up over a fleet', () => {
  test('fleet 4: one tenant fails, the others are migrated; then --failed touches only that one', async () => {
    const fleet = await makeFleet(databases, { count: 5 });
    const [, , third] = fleet.tenants;
    await up(fleet.config, { all: true }, { to: '1' });
    await fleet.of(third, 'alter table meters add note text');

    const report = await up(fleet.config, { all: true });
    expect(report.counts).toMatchObject({ total: 5, migrated: 4, failed: 1 });
    expect(report.failures).toMatchObject([
      {
        count: 1,
        tenants: [{ id: '3', name: 'company-3', database: third?.database, server: 'default' }],
        at: '1_meters',
        error: { code: 'MIGRATION_FAILED', migration: '2_note', database: { code: '42701' } },
      },
    ]);
    for (const tenant of fleet.tenants) {
      expect(await fleet.historyOf(tenant)).toEqual(tenant === third ? ['1_meters'] : ['1_meters', '2_note']);
    }

    await fleet.of(third, 'alter table meters drop note');
    const again = await up(fleet.config, { failed: 'last' });
    expect(again.counts).toMatchObject({ total: 1, migrated: 1, failed: 0 });
    expect(await fleet.historyOf(third)).toEqual(['1_meters', '2_note']);
    const nobody = await up(fleet.config, { failed: 'last' });
    expect(nobody).toMatchObject({ run: null, counts: { total: 0 } });
  });

  test('fleet 8: the ledger holds the run and every tenant of it', async () => {
    const fleet = await makeFleet(databases, { count: 3 });
    const [first] = fleet.tenants;
    await fleet.of(first, 'create table in_the_way ()');
    const report = await up({ ...fleet.config, actor: 'ci' }, { all: true });
    const { run, tenants } = await withCentral(fleet.config, async (central) => ({
      run: await lastRun(central),
      tenants: await runTenants(central, report.run ?? 0),
    }));
    expect(run).toMatchObject({
      number: report.run,
      verb: 'up',
      selection: '--all',
      actor: 'ci',
      outcome: 'failed',
      total: 3,
      counts: { migrated: 2, refused: 1 },
    });
    expect(tenants.map(({ tenant, outcome }) => [tenant.id, outcome]).toSorted()).toEqual([
      ['1', 'refused'],
      ['2', 'migrated'],
      ['3', 'migrated'],
    ]);
    const migrated = tenants.find(({ tenant }) => tenant.id === '2');
    expect(migrated).toMatchObject({ from: null, to: '2_note', attempts: 1 });
    expect(migrated?.applied.map(({ name }) => name)).toEqual(['1_meters', '2_note']);
    expect(tenants.find(({ tenant }) => tenant.id === '1')?.error).toMatchObject({ code: 'NOT_EMPTY' });
  });

  test('fleet 7: no tenants is success, and writes no run', async () => {
    const fleet = await makeFleet(databases, { count: 0 });
    expect(await up(fleet.config, { all: true })).toMatchObject({
      run: null,
      counts: { total: 0 },
      failures: [],
    });
  });

  test('--force migrates a tenant on hold, and says so', async () => {
    const fleet = await makeFleet(databases, { count: 1 });
    await fleet.central("update company_databases set status = 'hold', reason = 'audit'");
    const report = await up(fleet.config, { tenants: ['company-1'] }, { force: true });
    expect(report.tenants).toMatchObject([
      { outcome: 'migrated', notices: ['--force: went past "on hold: audit"'] },
    ]);
    await expect(up(fleet.config, { all: true }, { force: true })).rejects.toMatchObject({ code: 'USAGE' });
  });

  test('selection: ids, names, databases, ranges, exclusions, labels', async () => {
    const fleet = await makeFleet(databases, { count: 6 });
    await fleet.central(`update company_databases set labels = '{"tier":"gold"}' where company_id in (1, 5)`);
    const ids = async (selection: Parameters<typeof up>[1]): Promise<string[]> => {
      const events: RunEvent[] = [];
      await up(fleet.config, selection, { onEvent: (event) => void events.push(event) });
      return events
        .flatMap((event) => (event.type === 'tenant-finished' ? [event.result.tenant.id] : []))
        .toSorted();
    };
    expect(await ids({ tenants: ['2', 'company-3', fleet.tenants[3]?.database ?? ''] })).toEqual([
      '2',
      '3',
      '4',
    ]);
    expect(await ids({ tenants: ['1..4', '-2'], exclude: ['company-4'] })).toEqual(['1', '3']);
    expect(await ids({ labels: { tier: 'gold' } })).toEqual(['1', '5']);
    expect(await ids({ labels: { tier: 'gold' }, exclude: ['1'] })).toEqual(['5']);
    await expect(ids({ tenants: ['company-99'] })).rejects.toMatchObject({ code: 'UNKNOWN_TENANT' });
    await expect(ids({})).rejects.toMatchObject({ code: 'NO_SELECTION' });
  });

  test('--behind reports only those with something to do', async () => {
    const fleet = await makeFleet(databases, { count: 4 });
    await up(fleet.config, { tenants: ['1', '2'] });
    const report = await up(fleet.config, { behind: true });
    expect(report.counts).toMatchObject({ total: 2, migrated: 2, current: 0 });
  });

  test('a tenant with a folder of its own gets what is in it, and is counted as behind core', async () => {
    const fleet = await makeFleet(databases, { count: 2 });
    const [first] = fleet.tenants;
    await fleet.write({
      [`tenants/${first?.database}/1_meters.sql`]: CORE['core/1_meters.sql'],
      [`tenants/${first?.database}/3_own.sql`]: 'create table own ();',
    });
    const report = await up(fleet.config, { all: true });
    expect(report).toMatchObject({ foldersBehind: 1, counts: { migrated: 2 } });
    expect(await fleet.historyOf(first)).toEqual(['1_meters', '3_own']);
    expect(await fleet.historyOf(fleet.tenants[1])).toEqual(['1_meters', '2_note']);
  });

  test('engine 22: a file that cannot be read stops the run before any connection', async () => {
    const fleet = await makeFleet(databases, { count: 1 });
    await fleet.write({ 'core/3_broken.ts': 'export async function up( {' });
    const nowhere = { ...fleet.config, central: { url: 'postgres://nobody@127.0.0.1:1/none' } };
    await expect(up(nowhere, { all: true })).rejects.toMatchObject({ code: 'MIGRATION_INVALID', exit: 1 });
    await fleet.write({ 'core/3_broken.ts': 'export async function up() {}' });
    await expect(up(nowhere, { all: true }, { to: '9' })).rejects.toMatchObject({ code: 'USAGE' });
    await expect(up(nowhere, { all: true }, { maxFailures: 'x' })).rejects.toMatchObject({ code: 'USAGE' });
  });

  test("engine 22: a tenant folder's error is that tenant's failure alone", async () => {
    const fleet = await makeFleet(databases, { count: 2 });
    await fleet.write({
      [`tenants/${fleet.tenants[0]?.database}/1_meters.sql`]: '-- migrate:up nonsense:1\nselect 1;',
    });
    const report = await up(fleet.config, { all: true });
    expect(report.counts).toMatchObject({ failed: 1, migrated: 1 });
    expect(report.failures[0]?.error.code).toBe('MIGRATION_INVALID');
  });

  test('engine 23: refused ones are not touched, the others go on; with --strict none goes on', async () => {
    const fleet = await makeFleet(databases, { count: 3 });
    await up(fleet.config, { all: true }, { to: '1' });
    await fleet.of(fleet.tenants[1], "update mpm_migrate.history set checksum = 'v1:0'");
    const strict = await up(fleet.config, { all: true }, { strict: true });
    expect(strict.error).toBeUndefined();
    expect(strict.counts).toMatchObject({ total: 3, refused: 1, skipped: 2, migrated: 0 });
    expect(strict.skipped).toEqual([{ reason: '--strict: 1 of 3 cannot be migrated', count: 2 }]);
    expect(await fleet.historyOf(fleet.tenants[0])).toEqual(['1_meters']);

    const report = await up(fleet.config, { all: true });
    expect(report.counts).toMatchObject({ total: 3, refused: 1, migrated: 2 });
    expect(report.failures[0]).toMatchObject({ error: { code: 'PLAN_REFUSED' }, tenants: [{ id: '2' }] });
    expect(report.failures[0]?.error.hint).toContain('--tenant 2');
    const passed = await up(fleet.config, { all: true, exclude: ['2'] }, { strict: true });
    expect(passed.counts).toMatchObject({ total: 2, current: 2 });
  });
});

describe('fleet 36', () => {
  test('what a verb cannot do with a selection it refuses; what is given together narrows', async () => {
    const meters = { 'plugins/meters/3_readings.sql': 'create table readings ();' };
    const fleet = await makeFleet(databases, { count: 4, files: { ...CORE, ...meters } });
    const { config } = fleet;
    await up(config, { all: true });
    const behind = { behind: true };
    const refused = {
      code: 'USAGE',
      message: expect.stringMatching(/^--behind can't be combined with /) as string,
    };
    await expect(exec(config, behind, 'create table xx (i int)', { write: true })).rejects.toMatchObject(
      refused,
    );
    await expect(down(config, behind)).rejects.toMatchObject(refused);
    await expect(uninstallPlugin(config, 'meters', behind, { keep: true })).rejects.toMatchObject(refused);
    await expect(baseline(config, behind, { to: '1' })).rejects.toMatchObject(refused);
    await expect(sync(config, behind)).rejects.toMatchObject(refused);
    for (const tenant of fleet.tenants) {
      expect(await fleet.historyOf(tenant)).toEqual(['1_meters', '2_note']);
      expect(await fleet.of(tenant, "select to_regclass('xx') is null as none")).toEqual([{ none: true }]);
    }
    expect((await status(config, { all: true, tenants: ['2'] })).counts.total).toBe(1);
  });

  test('a command for one tenant takes exactly one', async () => {
    const fleet = await makeFleet(databases, { count: 3 });
    await using library = new Fleet(fleet.config);
    for (const word of ['1..3', '-2', '2..3', '1,2', '']) {
      await expect(library.hold(word, { reason: 'x' })).rejects.toMatchObject({
        code: expect.stringMatching(/UNKNOWN_TENANT|USAGE/) as string,
      });
    }
    const rows = await fleet.central("select from company_databases where status = 'hold'");
    expect(rows).toEqual([]);
  });

  test('fleet 38: a canary goes with tenants that are named', async () => {
    const fleet = await makeFleet(databases, { count: 3 });
    const report = await up(fleet.config, { tenants: ['1..3'] }, { canary: 1 });
    expect(report.waves?.map(({ name, counts }) => [name, counts.total])).toEqual([
      ['canary', 1],
      ['rest', 2],
    ]);
  });
});
