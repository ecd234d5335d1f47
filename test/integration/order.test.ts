import { setTimeout as sleep } from 'node:timers/promises';
import { Kysely, type Migration, Migrator, PostgresDialect } from 'kysely';
import pg from 'pg';
import { describe, expect, test } from 'vitest';
import { openFleet } from '../../src/index.ts';
import { baseline } from '../../src/fleet/verbs/baseline.ts';
import { down } from '../../src/fleet/verbs/down.ts';
import { plan } from '../../src/fleet/verbs/plan.ts';
import { status } from '../../src/fleet/verbs/status.ts';
import { sync } from '../../src/fleet/verbs/sync.ts';
import type { RunReport } from '../../src/fleet/report/report.ts';
import { up } from '../../src/fleet/verbs/up.ts';
import { withDatabases } from '../helpers/database.ts';
import { makeFleet, type TestFleet } from '../helpers/fleet.ts';

const databases = withDatabases();
const ALL = { all: true };

/** A fleet with one tenant and these core migrations, each of which makes a table of its own. */
async function fleetOf(names: readonly string[], migrations = {}): Promise<TestFleet> {
  const fleet = await makeFleet(databases, { count: 1, files: {} });
  Object.assign(fleet.config.migrations, migrations);
  await add(fleet, names);
  return fleet;
}

async function add(fleet: TestFleet, names: readonly string[], folder = 'core'): Promise<void> {
  await fleet.write(
    Object.fromEntries(
      names.map((name) => [
        `${folder}/${name}.sql`,
        `-- migrate:up\ncreate table "t_${name}" ();\n-- migrate:down\ndrop table "t_${name}";\n`,
      ]),
    ),
  );
}

async function historyOf(fleet: TestFleet): Promise<string[]> {
  const rows = await fleet.of(
    fleet.tenants[0],
    'select name, version from mpm_migrate.history order by position',
  );
  return rows.map((row) => String(row['name']));
}

/** What is wrong with the only tenant, after a run. */
function failureOf({ failures }: Pick<RunReport, 'failures'>): string {
  const [first] = failures;
  return `${first?.error.message}\n${first?.error.hint}`;
}

describe('histories 3: folders of other tools run in their order, as they lie', () => {
  test.each([
    ['Flyway', ['V1__a', 'V1_2__b', 'V1.10__c', 'V2__d'], ['1', '1.2', '1.10', '2']],
    [
      'dates with and without dashes',
      ['20140924113530_x', '2017-10-08-193512_x', '20171009000000_a', '2018-01-01_b'],
      ['20140924113530', '20171008193512', '20171009000000', '20180101'],
    ],
    [
      'Laravel',
      ['2014_10_12_000000_x', '2022_09_20_0000000_create_x', '2022_14_12_create_x'],
      ['20141012000000', '202209200000000', '20221412'],
    ],
    [
      'times of one millisecond',
      ['20230608T155101190Z-a', '20230608T155101190Z-b', '20230608T155101190Z-c'],
      Array(3).fill('20230608155101190'),
    ],
    [
      'an index',
      ['_20230309T045948368Z', '_20230310T045948368Z'],
      ['20230309045948368', '20230310045948368'],
    ],
    ['words', ['accounts', 'meters', 'zones'], ['', '', '']],
  ])('%s', async (_, names, versions) => {
    const fleet = await fleetOf(names.toReversed());
    const { config } = fleet;
    expect((await plan(config, ALL)).groups[0]?.pending).toEqual(names);
    // One in a run, and then the others.
    await up(config, ALL, { to: names[0] ?? '' });
    expect((await up(config, ALL)).counts).toMatchObject({ migrated: 1 });
    expect(await historyOf(fleet)).toEqual(names);
    const rows = await fleet.of(
      fleet.tenants[0],
      'select version from mpm_migrate.history order by position',
    );
    expect(rows.map(({ version }) => version)).toEqual(versions);
    expect((await up(config, ALL, { fast: true })).counts).toMatchObject({ current: 1 });
    expect((await status(config, ALL)).tenants?.[0]).toMatchObject({ state: 'current', head: names.at(-1) });
    expect((await down(config, ALL, { to: '0' })).counts).toMatchObject({ reverted: 1 });
    expect(await historyOf(fleet)).toEqual([]);
  });

  test("Kysely's, of core and a tenant's own; a later change of the order is refused", async () => {
    const fleet = await fleetOf(['1_a', '2_c', '10_b'], { order: 'kysely' });
    const { config, tenants } = fleet;
    await up(config, ALL, { to: '1' });
    expect(await historyOf(fleet)).toEqual(['10_b', '1_a']);
    await sync(config, ALL);
    await add(fleet, ['3_own', '4_own'], `tenants/${tenants[0]?.database}`);
    const order = ['10_b', '1_a', '2_c', '3_own', '4_own'];
    await up(config, ALL);
    expect(await historyOf(fleet)).toEqual(order);

    config.migrations.order = 'version';
    const refused = await up(config, ALL);
    expect(refused.counts).toMatchObject({ refused: 1 });
    expect(failureOf(refused)).toBe(
      `10_b and 1_a were applied here in this order, and migrations.order "version" has 1_a before 10_b
Set it back in the configuration: migrations: { order: 'text' }`,
    );
    expect((await plan(config, ALL)).counts).toMatchObject({ refused: 1 });
    expect((await status(config, ALL)).tenants?.[0]).toMatchObject({
      state: 'drifted',
      remedies: ["Set it back in the configuration: migrations: { order: 'text' }"],
    });
    expect((await up(config, ALL, { fast: true })).counts).toMatchObject({ refused: 1 });
    const forced = await up(config, { tenants: ['1'] }, { force: true });
    expect(forced.counts).toMatchObject({ current: 1 });
    expect(forced.notices.join('\n')).toContain('--force: 10_b and 1_a were applied here in this order');

    config.migrations.order = 'kysely';
    expect((await up(config, ALL)).counts).toMatchObject({ current: 1 });
  });

  test('what a baseline recorded has its order too', async () => {
    const fleet = await fleetOf(['1_a', '2_c', '10_b'], { order: 'text' });
    const { config } = fleet;
    await baseline(config, ALL, { to: '2', write: true });
    expect(await historyOf(fleet)).toEqual(['10_b', '1_a', '2_c']);
    config.migrations.order = 'version';
    expect(failureOf(await up(config, ALL))).toContain(
      "Set it back in the configuration: migrations: { order: 'text' }",
    );
  });

  test("Kysely's table says in which order its migrator applied them, and order: 'kysely' is that one", async () => {
    const names = ['1_a', '2_c', '10_b', '_x', '1_B', 'b', '2023-01-01T00-x', '2023-01-01-x', 'Ä'];
    const fleet = await fleetOf(names, { unnumbered: ['_x', 'b', 'Ä'], sameVersion: ['1_a', '1_B'] });
    const { config, tenants } = fleet;
    const applied: string[] = [];
    const dialect = new PostgresDialect({
      pool: new pg.Pool({
        connectionString: config.central.url.replace(/[^/]*$/, tenants[0]?.database ?? ''),
      }),
    });
    await using db = { kysely: new Kysely({ dialect }), [Symbol.asyncDispose]: () => db.kysely.destroy() };
    // Of one time are those of one millisecond.
    const migration = (name: string): Migration => ({
      up: () => sleep(2).then(() => void applied.push(name)),
    });
    const all = Object.fromEntries(names.map((name) => [name, migration(name)]));
    const migrator = new Migrator({ db: db.kysely, provider: { getMigrations: () => Promise.resolve(all) } });
    expect((await migrator.migrateToLatest()).error).toBeUndefined();

    const from = { from: 'kysely', write: true } as const;
    expect(failureOf(await baseline(config, ALL, from))).toMatch(
      /^kysely applied \S+ before \S+, and migrations.order "version" has .*\nSet in the configuration: migrations: { order: 'kysely' }$/,
    );
    expect(await fleet.of(tenants[0], "select to_regclass('mpm_migrate.history') as t")).toEqual([
      { t: null },
    ]);
    config.migrations.order = 'kysely';
    expect((await baseline(config, ALL, from)).counts).toMatchObject({ changed: 1 });
    expect(await historyOf(fleet)).toEqual(applied);
  });

  test('versions are found as they are typed', async () => {
    const fleet = await fleetOf(['V1__a', 'V1_2__b', 'V1.10__c', 'V2__d']);
    const { config, tenants } = fleet;
    await fleet.of(tenants[0], 'create table "t_V1__a" ()');
    await baseline(config, ALL, { to: 'V1', write: true });
    await up(config, ALL, { to: '1.2' });
    expect(await historyOf(fleet)).toEqual(['V1__a', 'V1_2__b']);
    await up(config, ALL, { to: 'V1_10' });
    expect(await historyOf(fleet)).toEqual(['V1__a', 'V1_2__b', 'V1.10__c']);
    const { central, migrations } = config;
    await using library = await openFleet({
      central: { url: central.url },
      migrations: { core: migrations.core },
    });
    for (const atLeast of ['1.10', 'V1_2', 'V1__a']) await library.connect(1, { atLeast });
    for (const atLeast of ['1.1', '2', '110', 'a'])
      await expect(library.connect(1, { atLeast })).rejects.toMatchObject({ code: 'TENANT_BEHIND' });
    await down(config, ALL, { to: '1.2' });
    expect(await historyOf(fleet)).toEqual(['V1__a', 'V1_2__b']);
    await expect(up(config, ALL, { to: '1.3' })).rejects.toMatchObject({
      message: '--to 1.3: no such migration',
    });
  });

  test('a version of more than one is refused with their names', async () => {
    const names = ['2023-03-30-223252-a', '2023-03-30-223252-b'];
    const fleet = await fleetOf(['0000_init', ...names]);
    const { config } = fleet;
    const message = '--to 20230330223252: more than one migration has that version: ';
    const refused = {
      code: 'USAGE',
      message: `${message}${names.join(', ')}`,
      hint: 'Give the whole name, for example --to 2023-03-30-223252-a.',
    };
    await expect(up(config, ALL, { to: '20230330223252' })).rejects.toMatchObject(refused);
    // A version, and not what reverts everything.
    await up(config, ALL, { to: '0000' });
    expect(await historyOf(fleet)).toEqual(['0000_init']);
    await up(config, ALL);
    expect(failureOf(await down(config, ALL, { to: '20230330223252' }))).toContain(
      `${message}${names.toReversed().join(', ')}`,
    );
    await down(config, ALL, { to: '0000' });
    expect(await historyOf(fleet)).toEqual(['0000_init']);
  });
});

describe('histories 4: what is an error until the configuration lists it', () => {
  /** Does what a problem's hint says to write into the configuration. */
  function configure({ config }: TestFleet, hint: string | undefined): void {
    const [, key = '', list = ''] =
      /migrations: \{ (\w+): (\[.*\]) \} in the configuration/.exec(hint ?? '') ?? [];
    Object.assign(config.migrations, { [key]: JSON.parse(list.replaceAll("'", '"')) });
  }

  test.each([
    [
      'the same short version',
      ['0041_a', '0042_b', '0042_c'],
      '0042_b.sql and 0042_c.sql have the same version, 42',
    ],
    ['no number', ['schema', '0041_a'], 'schema.sql has no number, and other files here have one'],
  ])('%s', async (_, names, message) => {
    const fleet = await fleetOf(names.toReversed());
    const { config } = fleet;
    const error: unknown = await up(config, ALL).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'MIGRATION_INVALID', message });
    configure(fleet, (error as { hint?: string }).hint);
    await sync(config, ALL);
    expect((await up(config, ALL)).counts).toMatchObject({ migrated: 1 });
    expect(await historyOf(fleet)).toEqual(names);
  });

  test("what core has without a number stays a migration beside a tenant's own with one", async () => {
    const fleet = await fleetOf(['init', 'meters']);
    const { config, tenants } = fleet;
    const folder = `tenants/${tenants[0]?.database}`;
    await sync(config, ALL);
    await add(fleet, ['5_own'], folder);
    await up(config, ALL);
    expect(await historyOf(fleet)).toEqual(['init', 'meters', '5_own']);
    await add(fleet, ['schema'], folder);
    const { failures } = await up(config, ALL);
    expect(failures[0]?.error.message).toBe('schema.sql has no number, and other files here have one');
  });

  test("a plugin's and core's are compared by the same rule", async () => {
    const fleet = await fleetOf(['20230101120000_b']);
    const { config } = fleet;
    await add(fleet, ['20230101120000_a'], 'plugins/meters');
    expect((await plan(config, ALL)).counts).toMatchObject({ pending: 1 });
    await add(fleet, ['7_a'], 'plugins/meters');
    await add(fleet, ['07_b']);
    await expect(plan(config, ALL)).rejects.toMatchObject({
      message: '7_a.sql (plugin meters) and 07_b.sql (core) have the same version, 7',
    });
    config.migrations.sameVersion = ['7_a', '07_b'];
    expect((await plan(config, ALL)).counts).toMatchObject({ pending: 1 });
  });
});

test('histories 14: what branches brought late is applied where the configuration says so, and contradicts no order', async () => {
  const fleet = await fleetOf(['2023-01-01-a', '20230105_d']);
  const config = { ...fleet.config, outOfOrder: 'apply' as const };
  await up(config, ALL);
  await add(fleet, ['2023-01-02-120000_b', '20230103_c', '20230106_e']);
  expect((await up(fleet.config, ALL)).counts).toMatchObject({ refused: 1 });
  expect((await up(config, ALL)).counts).toMatchObject({ migrated: 1 });
  const history = ['2023-01-01-a', '20230105_d', '2023-01-02-120000_b', '20230103_c', '20230106_e'];
  expect(await historyOf(fleet)).toEqual(history);
  for (const order of ['version', 'text', 'kysely'] as const) {
    config.migrations.order = order;
    expect((await up(config, ALL)).counts).toMatchObject({ current: 1 });
  }
});
