import { readFile, rename, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import pg from 'pg';
import { describe, expect, test } from 'vitest';
import { withCentral } from '../../src/central/central.ts';
import { repairCentral } from '../../src/central/schema/repair.ts';
import { streamTenants } from '../../src/central/list/tenants.ts';
import { centralUp } from '../../src/central/schema/up.ts';
import { doctor } from '../../src/fleet/doctor/doctor.ts';
import { plan } from '../../src/fleet/verbs/plan.ts';
import { installPlugin } from '../../src/fleet/verbs/plugin-install.ts';
import { listPlugins, makeInstallable } from '../../src/fleet/verbs/plugin-list.ts';
import { uninstallPlugin } from '../../src/fleet/verbs/plugin-uninstall.ts';
import { status } from '../../src/fleet/verbs/status.ts';
import { sync } from '../../src/fleet/verbs/sync.ts';
import { up } from '../../src/fleet/verbs/up.ts';
import { readFleetFiles } from '../../src/fleet/files.ts';
import { parseStamp } from '../../src/engine/history/stamp.ts';
import { fresh } from '../../src/fleet/verbs/fresh.ts';
import { drop } from '../../src/tenants/drop.ts';
import { clone } from '../../src/tenants/clone.ts';
import { tenantSet } from '../../src/tenants/folders/folder.ts';
import { startCli } from '../helpers/cli.ts';
import { testServer, withDatabases } from '../helpers/database.ts';
import { SELECT_FINGERPRINT } from '../helpers/engine.ts';
import { addTenants, CORE, makeFleet, type TestFleet, type TestTenant } from '../helpers/fleet.ts';

const databases = withDatabases();
const byNumber = (a: string, b: string) => Number.parseInt(a, 10) - Number.parseInt(b, 10);

const METERS = {
  'plugins/meters/1.5_no.txt': 'no migration',
  'plugins/meters/3_readings.sql':
    '-- migrate:up\ncreate table readings (id int);\n-- migrate:down\ndrop table readings;\n',
  'plugins/meters/5_unit.sql':
    '-- migrate:up\nalter table readings add unit text;\n-- migrate:down\nalter table readings drop unit;\n',
};
const SOLAR = {
  'plugins/solar/4_panels.sql':
    '-- migrate:up\ncreate table panels (id int);\n-- migrate:down\ndrop table panels;\n',
};
const FOURTH = { 'core/6_sixth.sql': 'create table sixth ();' };

async function fleetWithMeters(count = 3, files: Record<string, string> = {}): Promise<TestFleet> {
  const fleet = await makeFleet(databases, { count, files: { ...CORE, ...METERS, ...SOLAR, ...files } });
  await makeInstallable(fleet.config, 'meters', { title: 'Smart meters' });
  await makeInstallable(fleet.config, 'solar');
  return fleet;
}

async function installedOf(fleet: TestFleet): Promise<string[]> {
  const rows = await fleet.central<{ who: string }>(
    "select company_id || ' ' || name as who from company_plugins join plugins p on p.id = plugin_id order by 1",
  );
  return rows.map(({ who }) => who);
}

async function tablesOf(fleet: TestFleet, tenant: TestTenant | undefined): Promise<string[]> {
  const rows = await fleet.of<{ name: string }>(
    tenant,
    "select relname as name from pg_class where relkind = 'r' and relnamespace = 'public'::regnamespace order by 1",
  );
  return rows.map(({ name }) => name);
}

/** Waits until something is so, for at most ten seconds. */
async function until(what: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 20_000;
  while (!(await what())) {
    if (Date.now() > deadline) throw new Error('it never came');
    await sleep(50);
  }
}

describe('install', () => {
  test('on a selection: recorded, applied, and nothing of it at the others; up keeps one order', async () => {
    const fleet = await fleetWithMeters();
    const [first, second, third] = fleet.tenants;
    const report = await installPlugin(fleet.config, 'meters', { tenants: ['1', '2'] });
    expect(report.counts).toMatchObject({ total: 2, migrated: 2 });
    expect(await installedOf(fleet)).toEqual(['1 meters', '2 meters']);
    // With what of core comes before.
    expect(await fleet.historyOf(first)).toEqual(['1_meters', '2_note', '3_readings', '5_unit']);
    const sources = await fleet.of(first, 'select name, source from mpm_migrate.history order by position');
    expect(sources).toEqual([
      { name: '1_meters', source: 'core' },
      { name: '2_note', source: 'core' },
      { name: '3_readings', source: 'plugin' },
      { name: '5_unit', source: 'plugin' },
    ]);

    await fleet.write({ ...FOURTH, 'plugins/meters/7_more.sql': 'create table more ();' });
    expect((await up(fleet.config, { all: true })).counts).toMatchObject({ migrated: 3, failed: 0 });
    const both = ['1_meters', '2_note', '3_readings', '5_unit', '6_sixth', '7_more'];
    expect(await fleet.historyOf(second)).toEqual(both);
    expect(await fleet.historyOf(third)).toEqual(['1_meters', '2_note', '6_sixth']);
    expect(await tablesOf(fleet, third)).toEqual(['meters', 'sixth']);

    const again = await installPlugin(fleet.config, 'meters', { tenants: ['1'] });
    expect(again.counts).toMatchObject({ total: 1, current: 1 });
    expect((await up(fleet.config, { all: true })).counts).toMatchObject({ current: 3 });
  });

  test('only as far as its last migration needs: core behind it stays pending', async () => {
    const fleet = await fleetWithMeters(1, FOURTH);
    const report = await installPlugin(fleet.config, 'solar', { all: true });
    expect(report.counts).toMatchObject({ migrated: 1 });
    expect(await fleet.historyOf(fleet.tenants[0])).toEqual(['1_meters', '2_note', '4_panels']);
    expect((await status(fleet.config, { all: true })).counts).toMatchObject({ pending: 1 });
  });

  test('later than newer core is the normal case: pending, applied, never out-of-order', async () => {
    const fleet = await fleetWithMeters(2, FOURTH);
    const [first] = fleet.tenants;
    await up(fleet.config, { all: true });
    await fleet.central("insert into company_plugins select 1, id from plugins where name = 'meters'");
    const before = await status(fleet.config, { tenants: ['1'] });
    expect(before.counts).toMatchObject({ pending: 1, drifted: 0 });
    expect(before.tenants?.[0]?.plugins).toEqual(['meters']);
    expect(before.history?.map(({ name, state, plugin }) => [name, state, plugin])).toEqual([
      ['1_meters', 'applied', undefined],
      ['2_note', 'applied', undefined],
      ['3_readings', 'pending', 'meters'],
      ['5_unit', 'pending', 'meters'],
      ['6_sixth', 'applied', undefined],
    ]);
    const planned = await plan(fleet.config, { all: true });
    expect(planned.counts).toMatchObject({ pending: 1, current: 1, refused: 0 });
    expect((await up(fleet.config, { all: true })).counts).toMatchObject({ migrated: 1, current: 1 });
    expect(await fleet.historyOf(first)).toEqual(['1_meters', '2_note', '6_sixth', '3_readings', '5_unit']);
    expect((await status(fleet.config, { all: true })).counts).toMatchObject({ current: 2 });
    expect((await up(fleet.config, { all: true })).counts).toMatchObject({ current: 2 });
  });

  test('a version that core has too: an error that names both files, before any database', async () => {
    const fleet = await fleetWithMeters(1);
    await fleet.write({ 'plugins/solar/02_twice.sql': 'select 1;' });
    await expect(up(fleet.config, { all: true })).rejects.toMatchObject({
      code: 'MIGRATION_INVALID',
      message: expect.stringMatching(
        /2_note\.sql \(core\) .*02_twice\.sql \(plugin solar\)|02_twice\.sql \(plugin solar\) .*2_note\.sql \(core\)/,
      ) as string,
    });
  });

  test('two plugins with one version: only who would have both, and it is not recorded', async () => {
    const fleet = await fleetWithMeters(2);
    await fleet.write({ 'plugins/solar/3_twice.sql': 'select 1;' });
    await installPlugin(fleet.config, 'meters', { tenants: ['1'] });
    const report = await installPlugin(fleet.config, 'solar', { all: true });
    expect(report.counts).toMatchObject({ migrated: 1, failed: 1 });
    expect(report.failures[0]?.error.message).toContain('(plugin solar) have the same version, 3');
    expect(await installedOf(fleet)).toEqual(['1 meters', '2 solar']);
  });

  test('killed between the record and the migration: another call finishes', async () => {
    const slow =
      "select pg_sleep(case when to_regclass('public.gate') is null then 0 else 60 end);\ncreate table slow ();";
    const fleet = await fleetWithMeters(1, { 'plugins/slow/8_slow.sql': slow });
    const [tenant] = fleet.tenants;
    await makeInstallable(fleet.config, 'slow');
    await up(fleet.config, { all: true });
    await fleet.of(tenant, 'create table gate ()');
    const config = {
      central: fleet.config.central,
      migrations: { core: 'core', plugins: 'plugins', tenants: 'tenants' },
    };
    await fleet.write({ 'mpm-migrate.config.json': JSON.stringify(config) });
    const running = await startCli(['plugin', 'install', 'slow', '--tenant', '1'], {
      cwd: fleet.config.root,
    });
    const sleeping = `select pid from pg_stat_activity where datname = '${tenant?.database}' and wait_event = 'PgSleep' and application_name like 'mpm-migrate%'`;
    await until(async () => (await databases.query(sleeping)).length > 0);
    running.child.kill('SIGKILL');
    await running.result;
    await databases.query(`select pg_terminate_backend(pid) from (${sleeping}) s`);
    expect(await installedOf(fleet)).toEqual(['1 slow']);
    expect(await fleet.historyOf(tenant)).toEqual(['1_meters', '2_note']);

    await fleet.of(tenant, 'drop table gate');
    expect((await installPlugin(fleet.config, 'slow', { all: true })).counts).toMatchObject({ migrated: 1 });
    expect(await fleet.historyOf(tenant)).toEqual(['1_meters', '2_note', '8_slow']);
  });
});

describe('uninstall', () => {
  test('refused while its migrations are applied; --down takes them out of the middle', async () => {
    const fleet = await fleetWithMeters(2, FOURTH);
    const [first, second] = fleet.tenants;
    await installPlugin(fleet.config, 'meters', { all: true });
    await up(fleet.config, { all: true });
    const refused = await uninstallPlugin(fleet.config, 'meters', { tenants: ['1'] });
    expect(refused.counts).toMatchObject({ refused: 1 });
    expect(refused.failures[0]?.error.hint).toContain('plugin uninstall meters --down --tenant 1');
    expect(await installedOf(fleet)).toEqual(['1 meters', '2 meters']);

    const gone = await uninstallPlugin(fleet.config, 'meters', { tenants: ['1'] }, { down: true });
    expect(gone.counts).toMatchObject({ reverted: 1 });
    expect(gone.tenants?.[0]?.applied.map(({ name }) => name)).toEqual(['5_unit', '3_readings']);
    expect(await fleet.historyOf(first)).toEqual(['1_meters', '2_note', '6_sixth']);
    expect(await tablesOf(fleet, first)).toEqual(['meters', 'sixth']);
    expect(await installedOf(fleet)).toEqual(['2 meters']);
    expect(await tablesOf(fleet, second)).toEqual(['meters', 'readings', 'sixth']);
    expect((await status(fleet.config, { all: true })).counts).toMatchObject({ current: 2 });
    // What the stamp says is what the history is.
    const [comment] = await databases.query<{ c: string }>(
      `select shobj_description(oid, 'pg_database') as c from pg_database where datname = '${first?.database}'`,
    );
    const [standing] = await fleet.of<{ fingerprint: string }>(first, SELECT_FINGERPRINT);
    expect(parseStamp(comment?.c ?? null)).toEqual({ count: 3, fingerprint: standing?.fingerprint });

    const nothing = await uninstallPlugin(fleet.config, 'meters', { tenants: ['1'] }, { down: true });
    expect(nothing.counts).toMatchObject({ current: 1 });
  });

  test('--keep leaves tables and history, up goes on, and a new installation takes them over', async () => {
    const fleet = await fleetWithMeters(1);
    const [tenant] = fleet.tenants;
    await installPlugin(fleet.config, 'meters', { all: true });
    const kept = await uninstallPlugin(fleet.config, 'meters', { all: true }, { keep: true });
    expect(kept.counts).toMatchObject({ reverted: 1 });
    expect(await installedOf(fleet)).toEqual([]);
    expect(await tablesOf(fleet, tenant)).toEqual(['meters', 'readings']);
    const after = await status(fleet.config, { tenants: ['1'] });
    expect(after.counts).toMatchObject({ current: 1 });
    expect(after.history?.map(({ state }) => state)).toEqual(['applied', 'applied', 'kept', 'kept']);
    await fleet.write(FOURTH);
    expect((await up(fleet.config, { all: true })).counts).toMatchObject({ migrated: 1 });

    const again = await installPlugin(fleet.config, 'meters', { all: true });
    expect(again.counts).toMatchObject({ total: 1, failed: 0, refused: 0 });
    expect(await fleet.of(tenant, "select from mpm_migrate.history where source = 'kept'")).toEqual([]);
    expect(await fleet.of(tenant, 'select action, name from mpm_migrate.history_journal')).toHaveLength(4);
    const down = await uninstallPlugin(fleet.config, 'meters', { all: true }, { down: true });
    expect(down.counts).toMatchObject({ reverted: 1 });
    expect(await tablesOf(fleet, tenant)).toEqual(['meters', 'sixth']);
  });

  test('fleet 42: a plugin whose folder is lost is uninstalled with --keep; --down says what it needs', async () => {
    const fleet = await fleetWithMeters(2);
    const { config } = fleet;
    const [first, second] = fleet.tenants;
    await installPlugin(config, 'meters', { tenants: ['1'] });
    await installPlugin(config, 'solar', { all: true });
    const folder = join(config.migrations.plugins, 'meters');
    await rename(folder, join(config.root, 'meters'));
    for (const options of [{ down: true }, {}]) {
      await expect(uninstallPlugin(config, 'meters', { all: true }, options)).rejects.toMatchObject({
        code: 'FOLDER_MISSING',
        message: expect.stringMatching(options.down ? /--down needs the migrations/ : /isn't known$/),
        hint: expect.stringMatching(/mpm-migrate plugin uninstall meters --all --keep$/),
      });
    }
    const remedy = 'mpm-migrate plugin uninstall meters --all --keep';
    const { failures } = await up(config, { all: true });
    expect(failures).toMatchObject([{ count: 1, error: { hint: expect.stringContaining(remedy) } }]);

    // Another one that is lost as well is not in the way.
    await rename(join(config.migrations.plugins, 'solar'), join(config.root, 'solar'));
    const kept = await uninstallPlugin(config, 'meters', { all: true }, { keep: true });
    expect(kept).toMatchObject({ counts: { reverted: 1, current: 1, failed: 0 } });
    expect(kept.notices).toContainEqual(expect.stringContaining('3_readings'));
    expect(await installedOf(fleet)).toEqual(['1 solar', '2 solar']);
    await rename(join(config.root, 'solar'), join(config.migrations.plugins, 'solar'));
    expect(await up(config, { all: true })).toMatchObject({ failures: [], counts: { current: 2 } });
    expect(await tablesOf(fleet, first)).toEqual(['meters', 'panels', 'readings']);
    expect(await fleet.of(second, "select from mpm_migrate.history where source = 'kept'")).toEqual([]);
    const after = await status(config, { tenants: ['1'] });
    expect(after.history?.map(({ name, state }) => `${name} ${state}`)).toEqual([
      '1_meters applied',
      '2_note applied',
      '3_readings kept',
      '4_panels applied',
      '5_unit kept',
    ]);

    // A link to nowhere is no folder either.
    await symlink('/nowhere/meters', folder);
    await expect(up(config, { all: true })).rejects.toMatchObject({
      code: 'FOLDER_MISSING',
      message: `${folder} is a link to nowhere`,
      hint: expect.stringMatching(`rm ${folder}$`),
    });
  });

  const STACKED = {
    'core/130_core.sql':
      "-- migrate:up\ncreate table core130 (m1 text default 'meters are core business');\n",
    'plugins/meters/110_m1.sql':
      '-- migrate:up\ncreate table m1 (id int primary key);\n-- migrate:down\ndrop table m1;\n',
    'plugins/meters/210_m2.sql':
      '-- migrate:up\ncreate table m2 (id int);\n-- migrate:down\ndrop table m2;\n',
    'plugins/billing/120_b1.sql':
      '-- migrate:up\ncreate table b1 (m int references m1);\n-- migrate:down\ndrop table b1;\n',
    'plugins/billing/220_b2.sql':
      '-- migrate:up\nalter table m2 add billed text;\n-- migrate:down\nalter table m2 drop billed;\n',
    'plugins/solar/230_s.sql': '-- migrate:up\ncreate table s ();\n-- migrate:down\ndrop table s;\n',
  };
  async function stacked(): Promise<TestFleet> {
    const fleet = await makeFleet(databases, { count: 1, files: { ...CORE, ...STACKED } });
    for (const name of ['meters', 'billing', 'solar']) {
      await makeInstallable(fleet.config, name);
      await installPlugin(fleet.config, name, { all: true });
    }
    await up(fleet.config, { all: true });
    await fleet.of(fleet.tenants[0], 'insert into m2 values (1)');
    return fleet;
  }

  test('fleet 42: what other plugins have put on top is named before anything is reverted; not what core has', async () => {
    const fleet = await stacked();
    const [tenant] = fleet.tenants;
    const before = await fleet.historyOf(tenant);
    const refused = await uninstallPlugin(fleet.config, 'meters', { all: true }, { down: true });
    expect(refused.counts).toMatchObject({ refused: 1 });
    expect(refused.failures[0]?.error).toMatchObject({
      message: '120_b1 and 220_b2 (plugin billing): applied later, and mentions what would be reverted',
      hint: `Revert it first: mpm-migrate plugin uninstall billing --down --tenant 1
If they don't need it: mpm-migrate plugin uninstall meters --down --leave-later --tenant 1`,
    });
    expect(await fleet.historyOf(tenant)).toEqual(before);
    expect(await fleet.of(tenant, 'select id from m2')).toEqual([{ id: 1 }]);
    // As it says.
    for (const name of ['billing', 'meters']) {
      const gone = await uninstallPlugin(fleet.config, name, { all: true }, { down: true });
      expect(gone.counts).toMatchObject({ reverted: 1 });
    }
    expect(await fleet.historyOf(tenant)).toEqual(
      ['1_meters', '2_note', '130_core', '230_s'].toSorted(byNumber),
    );
    expect(await tablesOf(fleet, tenant)).toEqual(['core130', 'meters', 's']);
  });

  test('fleet 42: objects that depend are named before the first is reverted', async () => {
    const fleet = await stacked();
    const [tenant] = fleet.tenants;
    const before = await fleet.historyOf(tenant);
    const refused = await uninstallPlugin(
      fleet.config,
      'meters',
      { all: true },
      { down: true, leaveLater: true },
    );
    expect(refused.counts).toMatchObject({ refused: 1 });
    expect(refused.failures[0]?.error).toMatchObject({
      code: 'PLAN_REFUSED',
      message: expect.stringContaining('constraint b1_m_fkey on table b1 depends on table m1') as string,
      aftermath: 'nothing was changed here',
    });
    expect(await fleet.historyOf(tenant)).toEqual(before);
    expect(await fleet.of(tenant, 'select id from m2')).toEqual([{ id: 1 }]);

    // What cannot be tried says afterwards what went.
    await fleet.write({
      'plugins/meters/210_m2.sql':
        '-- migrate:up\ncreate table m2 (id int);\n-- migrate:down transaction:false\ndrop table m2;\n',
    });
    const failed = await uninstallPlugin(
      fleet.config,
      'meters',
      { all: true },
      { down: true, leaveLater: true },
    );
    expect(failed.failures[0]?.error).toMatchObject({
      migration: '110_m1',
      aftermath: 'the migration was rolled back; reverted before: 210_m2',
    });
  });

  test('fleet 42: what is half-done cannot be kept, and what was kept is its own again as soon as it is installed', async () => {
    const fleet = await fleetWithMeters(1);
    const [tenant] = fleet.tenants;
    await installPlugin(fleet.config, 'meters', { all: true });
    await uninstallPlugin(fleet.config, 'meters', { all: true }, { keep: true });
    await fleet.write({
      'plugins/meters/7_half.sql':
        '-- migrate:up transaction:false\ncreate table half (id int);\ncreate index concurrently on half (nothing);\n',
    });
    expect((await installPlugin(fleet.config, 'meters', { all: true })).counts).toMatchObject({ failed: 1 });
    expect(await fleet.of(tenant, "select from mpm_migrate.history where source = 'kept'")).toEqual([]);
    const refused = await uninstallPlugin(fleet.config, 'meters', { all: true }, { keep: true });
    expect(refused.failures[0]?.error).toMatchObject({
      message: '7_half of the plugin "meters" is half-done: it cannot be kept',
      hint: expect.stringContaining('mpm-migrate resolve 7_half --tenant 1 --retry') as string,
    });
    expect(await installedOf(fleet)).toEqual(['1 meters']);
    // As an older version left it.
    await fleet.of(tenant, "update mpm_migrate.history set source = 'kept' where name = '3_readings'");
    const asked = await uninstallPlugin(fleet.config, 'meters', { all: true });
    expect(asked.failures[0]?.error.message).toContain('3_readings and 2 more of the plugin "meters"');
  });

  test('--down also takes back what a tenant has without a record', async () => {
    const fleet = await fleetWithMeters(1);
    const [tenant] = fleet.tenants;
    await installPlugin(fleet.config, 'meters', { all: true });
    await fleet.central('delete from company_plugins');
    const report = await uninstallPlugin(fleet.config, 'meters', { all: true }, { down: true });
    expect(report.counts).toMatchObject({ reverted: 1 });
    expect(await tablesOf(fleet, tenant)).toEqual(['meters']);
  });

  test('killed after down and before the record is gone: another call finishes', async () => {
    const fleet = await fleetWithMeters(1);
    const [tenant] = fleet.tenants;
    await installPlugin(fleet.config, 'meters', { all: true });
    const config = {
      central: fleet.config.central,
      migrations: { core: 'core', plugins: 'plugins', tenants: 'tenants' },
    };
    await fleet.write({ 'mpm-migrate.config.json': JSON.stringify(config) });
    const blocker = new pg.Client({
      connectionString: testServer(new URL(fleet.config.central.url).pathname.slice(1)),
    });
    await blocker.connect();
    await blocker.query('begin; select * from company_plugins for update');
    const running = await startCli(['plugin', 'uninstall', 'meters', '--tenant', '1', '--down'], {
      cwd: fleet.config.root,
    });
    await until(async () => (await fleet.historyOf(tenant)).length === 2);
    running.child.kill('SIGKILL');
    await running.result;
    await blocker.query(
      "select pg_terminate_backend(pid) from pg_stat_activity where wait_event_type = 'Lock' and datname = current_database()",
    );
    await blocker.query('rollback');
    await blocker.end();
    expect(await installedOf(fleet)).toEqual(['1 meters']);

    const report = await uninstallPlugin(fleet.config, 'meters', { all: true }, { down: true });
    expect(report.counts).toMatchObject({ reverted: 1, failed: 0 });
    expect(await installedOf(fleet)).toEqual([]);
    expect(await tablesOf(fleet, tenant)).toEqual(['meters']);
  });
});

test('fleet 42: doctor reads plugins and central migrations as up would; a changed central one is repaired', async () => {
  const fleet = await fleetWithMeters(1, { 'central/1_regions.sql': 'create table regions ();' });
  const { config } = fleet;
  await centralUp(config);
  await installPlugin(config, 'meters', { all: true });
  const wrong = async () =>
    (await doctor(config)).findings.filter(
      ({ about, level }) => level === 'error' && ['files', 'central'].includes(about),
    );
  expect(await wrong()).toEqual([]);

  await rename(join(config.migrations.plugins, 'meters'), join(config.migrations.plugins, 'away'));
  await fleet.write({ 'plugins/solar/4_panels.sql': 'begin;\ncreate table panels (id int);' });
  await fleet.write({
    'central/1_regions.sql': 'create table regions (id int);',
    'central/2_x.sql': 'begin;',
  });
  const found = (await wrong()).map(({ message, remedy }) => `${message}: ${remedy}`);
  expect(found).toHaveLength(3);
  expect(found.join('\n')).toMatch(/2_x/);
  expect(found.join('\n')).toContain('for the plugin "meters"');
  expect(found.join('\n')).toContain('4_panels');

  await fleet.write({ 'central/2_x.sql': 'create table x ();' });
  expect((await wrong()).map(({ message }) => message)).toContainEqual(expect.stringContaining('1_regions'));
  const refused = await centralUp(config).catch((error: unknown) => error);
  expect(refused).toMatchObject({
    hint: 'restore the file, or accept it: mpm-migrate repair 1_regions --central --checksums --write',
  });
  const repair = { kind: 'checksums', names: ['1_regions'] } as const;
  expect(await repairCentral(config, repair)).toMatchObject({
    write: false,
    changes: [{ action: 'accept' }],
  });
  await expect(repairCentral(config, { ...repair, names: ['2_x'] })).rejects.toMatchObject({
    hint: 'These are: 1_regions.',
  });
  expect((await repairCentral(config, { ...repair, write: true })).changes).toHaveLength(1);
  expect((await centralUp(config)).sets.at(-1)).toMatchObject({ set: 'central', outcome: 'migrated' });
});

test('a folder that cannot be a plugin is named with its path', async () => {
  const fleet = await fleetWithMeters(1, { 'plugins/odd name/1_x.sql': 'select 1;' });
  await expect(up(fleet.config, { all: true })).rejects.toMatchObject({
    code: 'MIGRATION_INVALID',
    subject: join(fleet.config.migrations.plugins, 'odd name'),
    hint: expect.stringContaining('Rename it') as string,
  });
});

describe('tenants and their sets', () => {
  test('a page brings the plugins of its tenants; equal combinations share one set', async () => {
    const fleet = await fleetWithMeters(0);
    const many = Array.from({ length: 1200 }, (_, at) => String(at + 1));
    await addTenants(
      fleet,
      many.map((id) => ({ id, name: `t-${id}`, database: `${databases.prefix}none_${id}` })),
    );
    await fleet.central(
      "insert into company_plugins select c.id, p.id from companies c, plugins p where p.name = 'meters' and c.id % 3 > 0",
    );
    await fleet.central(
      "insert into company_plugins select c.id, p.id from companies c, plugins p where p.name = 'solar' and c.id % 3 > 1",
    );
    const files = await readFleetFiles(fleet.config);
    const sets = new Map<unknown, number>();
    const queries: string[] = [];
    await withCentral(fleet.config, async (central) => {
      const { application } = central.connection;
      const { prepared } = application;
      application.prepared = (text, values) => {
        queries.push(text);
        return prepared(text, values);
      };
      for await (const tenant of streamTenants(central, { all: true })) {
        const { migrations } = await tenantSet(tenant, files.core, fleet.config, files.cache);
        sets.set(migrations, (sets.get(migrations) ?? 0) + 1);
      }
    });
    expect([...sets.values()]).toEqual([400, 400, 400]);
    expect([...sets.keys()].map((set) => (set as unknown[]).length).sort()).toEqual([2, 4, 5]);
    // Three pages, and one look for what the list says twice.
    expect(queries).toHaveLength(4);
  });

  test('tenants.query says who has what; install is refused there', async () => {
    const fleet = await makeFleet(databases, { count: 2, files: { ...CORE, ...METERS } });
    const query = `select c.id, c.name, d.database_name as database,
      case when c.id = 1 then '["meters"]'::jsonb end as plugins
      from companies c join company_databases d on d.company_id = c.id -- all of them`;
    const config = { ...fleet.config, tenants: { query } };
    expect((await up(config, { all: true })).counts).toMatchObject({ migrated: 2 });
    expect(await tablesOf(fleet, fleet.tenants[0])).toEqual(['meters', 'readings']);
    expect(await tablesOf(fleet, fleet.tenants[1])).toEqual(['meters']);
    expect((await listPlugins(config)).plugins).toEqual([
      { name: 'meters', title: null, installable: true, migrations: 2, tenants: 1 },
    ]);
    for (const refused of [
      installPlugin(config, 'meters', { all: true }),
      uninstallPlugin(config, 'meters', { all: true }),
      makeInstallable(config, 'meters'),
    ]) {
      await expect(refused).rejects.toMatchObject({
        code: 'CENTRAL_INVALID',
        hint: expect.stringContaining('a column "plugins"') as string,
      });
    }
  });

  test('sync copies the installed plugins, and what is copied is applied only to who has them', async () => {
    const fleet = await fleetWithMeters(2);
    const [first, second] = fleet.tenants;
    await fleet.central("insert into company_plugins select 1, id from plugins where name = 'meters'");
    const copied = await sync(fleet.config, { all: true });
    expect(copied).toMatchObject({ copied: 6, held: [] });
    const folder = (tenant: TestTenant | undefined) =>
      join(fleet.config.migrations.tenants, tenant?.database ?? '');
    const manifest = JSON.parse(await readFile(join(folder(first), '.mpm-migrate.json'), 'utf8')) as unknown;
    expect(manifest).toMatchObject({
      copies: { '3_readings.sql': { plugin: 'meters' }, '5_unit.sql': { plugin: 'meters' } },
    });
    expect((await sync(fleet.config, { all: true })).changes).toEqual([]);
    expect((await up(fleet.config, { all: true })).counts).toMatchObject({ migrated: 2 });
    expect(await fleet.historyOf(first)).toEqual(['1_meters', '2_note', '3_readings', '5_unit']);
    expect(await fleet.historyOf(second)).toEqual(['1_meters', '2_note']);
    const sources = await fleet.of(first, "select name from mpm_migrate.history where source = 'plugin'");
    expect(sources).toHaveLength(2);

    const later = await installPlugin(fleet.config, 'meters', { tenants: ['2'] });
    expect(later).toMatchObject({ counts: { current: 1 }, foldersBehind: 1 });
    expect(later.notices.join()).toContain('lacks 2 of meters: mpm-migrate sync --tenant 2');
    await sync(fleet.config, { all: true });
    expect((await up(fleet.config, { all: true })).counts).toMatchObject({ migrated: 1, current: 1 });

    await uninstallPlugin(fleet.config, 'meters', { tenants: ['1'] }, { down: true });
    // The copies lie there, and are not its own any more.
    expect((await up(fleet.config, { all: true })).counts).toMatchObject({ current: 2 });
    expect((await sync(fleet.config, { all: true })).stale).toBe(2);
    expect((await sync(fleet.config, { all: true }, { prune: true })).pruned).toBe(2);
    expect((await status(fleet.config, { all: true })).counts).toMatchObject({ current: 2 });
  });

  test('fresh applies its plugins again; who is dropped takes the record along', async () => {
    const fleet = await fleetWithMeters(2);
    const [first] = fleet.tenants;
    await installPlugin(fleet.config, 'meters', { all: true });
    await fleet.of(first, 'insert into readings values (1)');
    const config = { ...fleet.config, templates: false };
    const confirm = first?.database ?? '';
    const made = await fresh(config, '1', { confirm });
    expect(made).toMatchObject({ head: '5_unit', notices: [] });
    expect(await fleet.historyOf(first)).toEqual(['1_meters', '2_note', '3_readings', '5_unit']);
    expect(await fleet.of(first, 'select from readings')).toEqual([]);
    await drop(config, '1', { confirm: 'company-1' });
    expect(await installedOf(fleet)).toEqual(['2 meters']);
  });

  test('a copy of a tenant has the plugins of the original', async () => {
    const fleet = await fleetWithMeters(1);
    await installPlugin(fleet.config, 'meters', { all: true });
    const database = `${databases.prefix}copy`;
    databases.adopt(database);
    const made = await clone(fleet.config, '1', { name: 'Copy', database });
    expect(await installedOf(fleet)).toEqual(['1 meters', `${made.tenant.id} meters`]);
    expect((await status(fleet.config, { all: true })).counts).toMatchObject({ current: 2 });
  });
});

test('fleet 35: --failed is the last run of the same verb, and only whom that run left', async () => {
  const fleet = await fleetWithMeters();
  const [one, two, three] = fleet.tenants as [TestTenant, TestTenant, TestTenant];
  const { config } = fleet;
  await up(config, { all: true });
  await installPlugin(config, 'meters', { tenants: [one.id, two.id] });
  // A later `up` fails at another tenant than the plugin's way back does.
  await fleet.write({ 'core/7_seventh.sql': 'create table seventh ();' });
  await fleet.of(one, 'create table seventh ()');
  expect((await up(config, { all: true })).counts).toMatchObject({ failed: 1 });
  await fleet.of(two, 'create view readers as select unit from readings');
  const first = await uninstallPlugin(config, 'meters', { tenants: [two.id] }, { down: true });
  expect(first.counts).toMatchObject({ refused: 1 });

  await fleet.of(two, 'drop view readers');
  const again = await uninstallPlugin(config, 'meters', { failed: 'last' }, { down: true });
  expect(again.counts).toMatchObject({ total: 1, reverted: 1 });
  expect(await fleet.of(one, "select to_regclass('readings') is not null as there")).toEqual([
    { there: true },
  ]);
  await expect(installPlugin(config, 'solar', { failed: 'last' })).rejects.toMatchObject({
    code: 'UNKNOWN_RUN',
  });

  // Whose labels have changed since is still who failed; what is given beside it narrows.
  await fleet.central(
    `update company_databases set labels = '{"tier":"gold"}' where company_id in (${one.id}, ${three.id})`,
  );
  expect((await up(config, { labels: { tier: 'gold' } })).counts).toMatchObject({ failed: 1, current: 1 });
  await fleet.central(
    `update company_databases set labels = '{"tier":"silver"}' where company_id = ${one.id}`,
  );
  const silver = await up(config, { failed: 'last', labels: { tier: 'gold' } });
  expect(silver.counts.total).toBe(0);
  // Another run in between, and the last one left nobody: who is left is said, and no success.
  await up(config, { tenants: [three.id] });
  const nobody = await up(config, { failed: 'last' });
  expect(nobody).toMatchObject({
    counts: { total: 0 },
    unmet: expect.stringMatching(/run \d+ left 1 tenant: mpm-migrate up --failed=\d+$/) as string,
  });
  const run = Number(/=(\d+)$/.exec(nobody.unmet ?? '')?.[1]);
  await fleet.of(one, 'drop table seventh');
  expect((await up(config, { failed: run })).counts).toMatchObject({ total: 1, migrated: 1 });
  expect((await up(config, { failed: 'last' })).unmet).toBeUndefined();
});
