import { describe, expect, test } from 'vitest';
import { baseline } from '../../src/fleet/verbs/baseline.ts';
import { adopt } from '../../src/tenants/adopt.ts';
import { up } from '../../src/fleet/verbs/up.ts';
import type { ToolName } from '../../src/dialects/tool-names.ts';
import { withDatabases } from '../helpers/database.ts';
import { makeFleet, type TestFleet } from '../helpers/fleet.ts';
import { atlas, flyway, golang, goose, laravel, prisma, sqlx, TABLES } from '../helpers/tool-tables.ts';

// The tables of tools that do not come from npm, made by hand as they make them; the others: test/adoption.
const databases = withDatabases();

const files = {
  'core/20240101000001_meters.sql': 'create table meters (id int primary key);',
  'core/20240101000002_note.sql': 'alter table meters add note text;',
  'core/20240101000003_later.sql': 'alter table meters add later text;',
};
const SCHEMA = 'create table meters (id int primary key, note text);';

const half = ['20240101000001_meters', '20240101000002_note'];

async function fleetWith(sql: string): Promise<TestFleet> {
  const fleet = await makeFleet(databases, { count: 1, files });
  await fleet.of(fleet.tenants[0], `${SCHEMA}\n${sql}`);
  return fleet;
}

const REFUSED: [ToolName, string, string][] = [
  ['golang-migrate', golang('20240101000002', true), '20240101000002 failed halfway'],
  ['golang-migrate', golang('7'), 'have no matching file: 7'],
  ['flyway', flyway(`(1, '1', 'x', 'SQL', 'V1__x.sql', 1, 'u', 1, false)`), 'V1__x.sql failed halfway'],
  [
    'prisma',
    prisma(`, ('d', 'x', null, '20240101000003_later', null)`),
    '20240101000003_later failed halfway',
  ],
  ['prisma', prisma(`, ('d', 'x', now(), '2023_other', null)`), 'have no matching file: 2023_other'],
  [
    'laravel',
    'create table migrations (id int)',
    'migrations is not as laravel makes it: it has (id integer)',
  ],
  [
    'golang-migrate',
    'create table schema_migrations (version varchar)',
    "schema_migrations is rails's, not golang-migrate's",
  ],
  ['dbmate', golang('20240101000002'), "schema_migrations is golang-migrate's, not dbmate's"],
  [
    'laravel',
    'create table migrations (id serial primary key, timestamp bigint not null, name varchar not null)',
    "migrations is typeorm's, not laravel's",
  ],
  [
    'dbmate',
    'create table schema_migrations (version varchar(255) primary key)',
    "schema_migrations may be dbmate's or rails's: both make it so",
  ],
  [
    'dbmate',
    `create table ar_internal_metadata (key varchar primary key, value varchar, created_at timestamp(6), updated_at timestamp(6));
       create table schema_migrations (version varchar(255) primary key)`,
    "schema_migrations is rails's, not dbmate's",
  ],
  ['knex', 'select 1', "the table knex_migrations doesn't exist: knex didn't migrate this database"],
  ['knex', laravel, "the table knex_migrations doesn't exist, but migrations, laravel's: knex didn't"],
  ['goose', goose('(1, 0, true), (2, 20240101000001, true), (3, 9, true)'), 'have no matching file: 9'],
  [
    'sqlx',
    sqlx("(20240101000001, 'meters', true), (20240101000002, 'note', false)"),
    '20240101000002 note failed halfway',
  ],
  [
    'atlas',
    atlas(`('20240101000001', 'meters', 2, 1, 1, null), ('20240101000002', 'note', 2, 1, 3, 'syntax error')`),
    '20240101000002 note failed halfway',
  ],
];

describe('baseline --from', () => {
  test.each<{ from: ToolName; sql: string; foreign: Record<string, string>; names: string[] }>([
    {
      from: 'laravel',
      sql: laravel,
      foreign: {
        'core/2024_01_01_000001_meters.php': '<?php return new class {};',
        'core/2024_01_01_000002_note.php': '<?php return new class {};',
      },
      names: ['2024_01_01_000001_meters', '2024_01_01_000002_note'],
    },
    {
      from: 'knex',
      sql: `create table knex_migrations (id serial primary key, name varchar(255), batch int, migration_time timestamptz);
        insert into knex_migrations (name, batch) values ('1_meters.js', 1), ('2_note.ts', 1);`,
      foreign: {
        'core/1_meters.js': "throw new Error('loaded'); exports.up = (knex) => knex;",
        'core/2_note.ts': "import type { Knex } from 'knex';\nexport const up = (k: Knex) => k;",
      },
      names: ['1_meters', '2_note'],
    },
    {
      from: 'prisma',
      sql: prisma(),
      foreign: {
        'core/20240101000001_meters/migration.sql': SCHEMA,
        'core/20240101000002_note/migration.ts': "throw new Error('loaded');",
      },
      names: half,
    },
  ])('histories 6: migrations of $from in other languages are recorded, and not run', async (each) => {
    const { from, sql, foreign, names } = each;
    const later = { 'core/20990101000000_later.sql': 'alter table meters add later text;' };
    const fleet = await makeFleet(databases, { count: 2, files: { ...foreign, ...later } });
    await fleet.of(fleet.tenants[0], `${SCHEMA}\n${sql}`);
    const report = await baseline(fleet.config, { tenants: ['1'] }, { from, write: true });
    expect(report.failures).toEqual([]);
    expect(report.groups[0]?.changes.map(({ name }) => name)).toEqual(names);
    expect(await up(fleet.config, { all: true })).toMatchObject({ counts: { migrated: 1, refused: 1 } });
    expect(await fleet.historyOf(fleet.tenants[0])).toEqual(['20990101000000_later']);
    expect(await fleet.of(fleet.tenants[1], "select from pg_class where relname = 'meters'")).toEqual([]);
  });

  test("what is not understood, another tool's, or half-applied is refused, and nothing is recorded", async () => {
    const fleet = await makeFleet(databases, { count: REFUSED.length, files });
    for (const [index, [from, sql, said]] of REFUSED.entries()) {
      const tenant = fleet.tenants[index];
      await fleet.of(tenant, `${SCHEMA} ${sql}`);
      const report = await baseline(fleet.config, { tenants: [`${index + 1}`] }, { from, write: true });
      expect
        .soft(report.failures, `${from} ${said}`)
        .toMatchObject([{ error: { code: 'ADOPTION', message: expect.stringContaining(said) } }]);
      const [row] = await fleet.of(tenant, "select to_regclass('mpm_migrate.history') as t");
      expect.soft(row).toEqual({ t: null });
    }
  });

  test('engine 44: a file is not recorded because another one with its version was applied', async () => {
    const fleet = await makeFleet(databases, {
      count: 1,
      files: {
        'core/20240528214728_add_a.sql': 'create table a (i int);',
        'core/20240528214729_add_b.sql': 'create table b (i int);',
      },
    });
    await fleet.of(
      fleet.tenants[0],
      `create table b (i int); ${prisma()} delete from _prisma_migrations where id <> 'a';
       update _prisma_migrations set migration_name = '20240528214728_add_b'`,
    );
    const report = await baseline(fleet.config, { all: true }, { from: 'prisma', write: true });
    expect(report.failures).toMatchObject([
      { error: { message: '1 applied by prisma have no matching file: 20240528214728_add_b' } },
    ]);
  });

  test('engine 33: what its owner has hung on the table is not run', async () => {
    const fleet = await fleetWith(`create sequence caught;
      create function bait(text) returns text immutable language plpgsql as $$ begin perform nextval('public.caught'); return $1; end $$;
      create table kept (migration varchar, batch int);
      create view a_view as select bait(migration)::varchar as migration from kept;
      create table a_policy (migration varchar, batch int);
      alter table a_policy enable row level security, force row level security;
      create policy p on a_policy using (bait('x') is null);
      create table generated (batch int, migration varchar generated always as (bait('x')) stored);
      create table indexed (migration varchar, batch int);
      create index on indexed (bait('x')) where bait('y') is not null;
      create statistics s on bait(migration), bait('z') from indexed;
      create table parent (migration varchar, batch int);
      create table child (check (bait(migration) is null)) inherits (parent);
      insert into kept values ('2024_01_01_000001_meters');
      insert into indexed table kept; insert into parent table kept`);
    const [tenant] = fleet.tenants;
    const before = await fleet.of(tenant, 'select last_value as n from caught');
    for (const table of ['a_view', 'a_policy', 'generated', 'indexed', 'parent']) {
      const report = await baseline(fleet.config, { all: true }, { from: 'laravel', table });
      const read = table === 'indexed' || table === 'parent';
      expect(report.counts).toMatchObject(read ? { changed: 1 } : { failed: 1 });
    }
    expect(await fleet.of(tenant, 'select last_value as n from caught')).toEqual(before);
  });

  test('without a schema, the one in public is meant; of several others one must be named', async () => {
    const two = `create schema a; create schema b; ${laravel.replaceAll(' migrations ', ' a.migrations ')}
      create table b.migrations (migration varchar, batch int);`;
    const fleet = await fleetWith(two);
    const unclear = await baseline(fleet.config, { all: true }, { from: 'laravel' });
    expect(unclear.failures[0]?.error.hint).toBe('Choose one: --table a.migrations, or --table b.migrations');
    const named = await baseline(fleet.config, { all: true }, { from: 'laravel', table: 'a.migrations' });
    expect(named.groups[0]?.changes.map(({ name }) => name)).toEqual(half);
    await fleet.of(fleet.tenants[0], 'create table migrations (migration varchar, batch int)');
    const ours = await baseline(fleet.config, { all: true }, { from: 'laravel' });
    expect(ours).toMatchObject({ failures: [], counts: { unchanged: 1 } });
  });

  test('histories 9: tables of other tools are taken over, each as its versions make it', async () => {
    const fleet = await makeFleet(databases, { count: TABLES.length, files });
    for (const [index, [from, sql]] of TABLES.entries()) {
      const tenant = fleet.tenants[index];
      const selection = { tenants: [tenant?.id ?? ''] };
      await fleet.of(tenant, `${SCHEMA} ${sql}`);
      const shown = await baseline(fleet.config, selection, { from, write: true });
      expect.soft(shown, `${from} ${index}`).toMatchObject({ failures: [], notices: [] });
      const names = shown.groups[0]?.changes.map(({ name }) => name);
      expect.soft(names, `${from} ${index}`).toEqual(half);
    }
    const again = await baseline(fleet.config, { tenants: ['1'] }, { from: 'goose', write: true });
    expect(again).toMatchObject({ counts: { changed: 0, unchanged: 1 } });
    const report = await up(fleet.config, { all: true });
    expect(report.counts).toMatchObject({ migrated: TABLES.length });
    expect(await fleet.historyOf(fleet.tenants[0])).toEqual(['20240101000003_later']);
  });

  test('histories 9: of tools whose migrations are no files, all tenants must be at one head', async () => {
    const fleet = await makeFleet(databases, { count: 4, files });
    const [one, two, three, four] = fleet.tenants;
    const rails = `${SCHEMA} create table ar_internal_metadata (key varchar primary key, value varchar, created_at timestamp(6) not null, updated_at timestamp(6) not null);
      create table schema_migrations (version varchar not null primary key); insert into schema_migrations values ('20230101000000')`;
    await fleet.of(one, rails);
    await fleet.of(two, `${rails}, ('20230202000000')`);
    await fleet.of(
      three,
      `${SCHEMA} create table django_migrations (id bigint primary key generated by default as identity, app varchar(255) not null,
        name varchar(255) not null, applied timestamptz not null); insert into django_migrations (app, name, applied) values ('shop', '0001_initial', now())`,
    );
    await fleet.of(
      four,
      `${SCHEMA} create table alembic_version (version_num varchar(32) not null primary key); insert into alembic_version values ('ae1027a6acf')`,
    );
    const to = '20240101000002_note';
    const taken = (tenants: string[], from: ToolName, more = {}) =>
      baseline(fleet.config, { tenants }, { from, to, write: true, ...more });
    await expect(taken(['1', '2'], 'rails')).rejects.toThrow(
      'rails is not at one head: 20230101000000 (1 applied) at 1; 20230202000000 (2 applied) at 2',
    );
    await expect(baseline(fleet.config, { all: true }, { from: 'rails' })).rejects.toThrow('requires --to');
    await expect(taken(['1'], 'knex')).rejects.toThrow("--to can't be combined with --from knex");
    expect(await fleet.of(one, "select to_regclass('mpm_migrate.history') as t")).toEqual([{ t: null }]);
    await fleet.of(one, "insert into schema_migrations values ('20230202000000')");
    for (const [tenants, from] of [
      [['1', '2'], 'rails'],
      [['3'], 'django'],
      [['4'], 'alembic'],
    ] as [string[], ToolName][]) {
      const { failures, counts } = await taken(tenants, from);
      expect({ failures, changed: counts.changed }).toEqual({ failures: [], changed: tenants.length });
    }
    expect(await up(fleet.config, { all: true })).toMatchObject({ counts: { migrated: 4 }, notices: [] });

    await fleet.of(four, "update alembic_version set version_num = 'b'");
    const { grown } = await up(fleet.config, { all: true });
    const remedy = 'mpm-migrate baseline --tenant 4 --from alembic --to 20240101000001_meters --write';
    expect(grown).toMatchObject([{ tool: 'alembic', remedy }]);
    expect(await taken(['4'], 'alembic', { to: '20240101000001_meters' })).toMatchObject({ failures: [] });
    expect((await up(fleet.config, { all: true })).grown).toBeUndefined();
  });

  test('histories 10: a table that two tools make is read once --table says that it is meant', async () => {
    const fleet = await fleetWith(`create table schema_migrations (version varchar(255) primary key);
      insert into schema_migrations values ('20240101000001'), ('20240101000003');
      create table changed_migrations (version varchar(255) primary key, at timestamptz default now());
      insert into changed_migrations values ('20240101000001')`);
    const taken = (table?: string) =>
      baseline(fleet.config, { all: true }, { from: 'dbmate', ...(table === undefined ? {} : { table }) });
    const { hint } = (await taken()).failures[0]?.error ?? {};
    const command = 'mpm-migrate baseline --tenant 1 --from';
    const table = '--table public.schema_migrations';
    expect(hint).toBe(
      `If it is dbmate's: ${command} dbmate ${table}\nIf it is rails's: ${command} rails ${table} --to NAME`,
    );
    const meant = await taken('public.schema_migrations');
    expect(meant.groups[0]?.changes.map(({ name }) => name)).toEqual([
      '20240101000001_meters',
      '20240101000003_later',
    ]);
    expect(meant.notices).toEqual([
      "not in dbmate's table, and before the last that is: 20240101000002_note; not recorded, so it stays pending, out of order",
    ]);
    expect((await taken('changed_migrations')).counts).toMatchObject({ changed: 1 });

    const adopted = async (sql: string) => {
      const { name } = await databases.create('adopted');
      await databases.query(`${SCHEMA} ${sql}`, name);
      return (await adopt(fleet.config, { name, database: name })).notices;
    };
    expect(await adopted(goose('(1, 0, true), (2, 20240101000001, true)'))).toEqual([
      'goose migrated it until now: 1 in public.goose_db_version',
      'To take that over: mpm-migrate baseline --tenant 2 --from goose',
    ]);
    expect((await adopted('create table schema_migrations (version varchar not null primary key)'))[1]).toBe(
      'To take that over: mpm-migrate baseline --tenant 3 --from rails --table public.schema_migrations --to NAME',
    );
  });

  test('a table of another name is given with --table', async () => {
    const fleet = await fleetWith(`create schema app; ${laravel.replaceAll(' migrations ', ' app.steps ')}`);
    const report = await baseline(fleet.config, { all: true }, { from: 'laravel', table: 'app.steps' });
    expect(report.groups[0]?.changes.map(({ name }) => name)).toEqual(half);
  });
});
