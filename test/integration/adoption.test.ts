import { describe, expect, test } from 'vitest';
import { baseline } from '../../src/fleet/verbs/baseline.ts';
import { up } from '../../src/fleet/verbs/up.ts';
import type { ToolName } from '../../src/dialects/other-tools.ts';
import { withDatabases } from '../helpers/database.ts';
import { makeFleet, type TestFleet } from '../helpers/fleet.ts';

// The tables of tools that do not come from npm, made by hand as they make them; the others: test/adoption.
const databases = withDatabases();

const files = {
  'core/20240101000001_meters.sql': 'create table meters (id int primary key);',
  'core/20240101000002_note.sql': 'alter table meters add note text;',
  'core/20240101000003_later.sql': 'alter table meters add later text;',
};
const SCHEMA = 'create table meters (id int primary key, note text);';

const golang = (version: string, dirty = false) =>
  `create table schema_migrations (version bigint not null primary key, dirty boolean not null);
insert into schema_migrations values (${version}, ${dirty});`;

const flyway = (rows: string) => `create table flyway_schema_history (installed_rank int primary key,
  version varchar(50), description varchar(200) not null, type varchar(20) not null, script varchar(1000) not null,
  checksum int, installed_by varchar(100) not null, installed_on timestamp not null default now(),
  execution_time int not null, success boolean not null);
insert into flyway_schema_history (installed_rank, version, description, type, script, checksum, installed_by, execution_time, success) values ${rows};`;

const prisma = (
  more = '',
) => `create table _prisma_migrations (id varchar(36) primary key, checksum varchar(64) not null,
  finished_at timestamptz, migration_name varchar(255) not null, logs text, rolled_back_at timestamptz,
  started_at timestamptz not null default now(), applied_steps_count int not null default 0);
insert into _prisma_migrations (id, checksum, finished_at, migration_name, rolled_back_at) values
  ('a', 'x', now(), '20240101000001_meters', null), ('b', 'x', null, '20240101000002_note', now()),
  ('c', 'x', now(), '20240101000002_note', null)${more};`;

const laravel = `create table migrations (id serial primary key, migration varchar(255) not null, batch int not null);
insert into migrations (migration, batch) values ('2024_01_01_000001_meters', 1), ('2024_01_01_000002_note', 1);`;

const half = ['20240101000001_meters', '20240101000002_note'];

async function fleetWith(sql: string): Promise<TestFleet> {
  const fleet = await makeFleet(databases, { count: 1, files });
  await fleet.of(fleet.tenants[0], `${SCHEMA}\n${sql}`);
  return fleet;
}

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

  test.each<[ToolName, string, string]>([
    ['golang-migrate', 'the last version stands for all before it', golang('20240101000002')],
    [
      'flyway',
      'versions, also with dots; repeatable and undone ones are left out',
      flyway(`(1, '20240101000001', 'meters', 'SQL', 'V1.sql', 1, 'u', 1, true),
        (2, '2024.01.01.000002', 'note', 'SQL', 'V2.sql', 1, 'u', 1, true),
        (3, null, 'views', 'SQL', 'R__views.sql', 1, 'u', 1, true),
        (4, '20240101000003', 'later', 'SQL', 'V3.sql', 1, 'u', 1, true),
        (5, '20240101000003', 'later', 'UNDO_SQL', 'U3.sql', 1, 'u', 1, true)`),
    ],
    [
      'flyway',
      'a baseline stands for all before it',
      flyway(`(1, '20240101000002', '<< Flyway Baseline >>', 'BASELINE', 'x', null, 'u', 0, true)`),
    ],
    ['prisma', 'rolled back ones do not count', prisma()],
    ['laravel', 'a date with underscores is a version', laravel],
  ])('%s: %s', async (from, _, sql) => {
    const fleet = await fleetWith(sql);
    const report = await baseline(fleet.config, { all: true }, { from, write: true });
    expect(report.failures).toEqual([]);
    expect(report.groups[0]?.changes.map(({ name }) => name)).toEqual(half);
    expect(await baseline(fleet.config, { all: true }, { from, write: true })).toMatchObject({
      counts: { changed: 0, unchanged: 1 },
    });
    const { tenants } = await up(fleet.config, { tenants: ['1'] });
    expect(tenants?.[0]?.applied.map(({ name }) => name)).toEqual(['20240101000003_later']);
  });

  test.each<[ToolName, string, string]>([
    ['golang-migrate', golang('20240101000002', true), '20240101000002 failed halfway'],
    ['golang-migrate', golang('7'), 'have no matching file: 7'],
    ['flyway', flyway(`(1, '1', 'x', 'SQL', 'V1__x.sql', 1, 'u', 1, false)`), 'V1__x.sql failed halfway'],
    [
      'prisma',
      prisma(`, ('d', 'x', null, '20240101000003_later', null)`),
      '20240101000003_later failed halfway',
    ],
    ['prisma', prisma(`, ('d', 'x', now(), '2023_other', null)`), 'have no matching file: 2023_other'],
    ['laravel', 'create table migrations (id int)', "as laravel's"],
    ['golang-migrate', 'create table schema_migrations (version varchar)', "as golang-migrate's"],
    ['knex', 'select 1', "the table knex_migrations doesn't exist"],
  ])('%s: refused, and nothing is recorded (%#)', async (from, sql, said) => {
    const fleet = await fleetWith(sql);
    const report = await baseline(fleet.config, { all: true }, { from, write: true });
    expect(report).toMatchObject({ counts: { failed: 1 }, failures: [{ error: { code: 'ADOPTION' } }] });
    expect(report.failures[0]?.error.message).toContain(said);
    expect(await fleet.of(fleet.tenants[0], "select to_regclass('mpm_migrate.history') as t")).toEqual([
      { t: null },
    ]);
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
      `create table b (i int);
       create table _prisma_migrations (migration_name text, finished_at timestamptz, rolled_back_at timestamptz);
       insert into _prisma_migrations values ('20240528214728_add_b', now(), null)`,
    );
    const report = await baseline(fleet.config, { all: true }, { from: 'prisma', write: true });
    expect(report.failures).toMatchObject([
      { error: { message: '1 applied by prisma have no matching file: 20240528214728_add_b' } },
    ]);
  });

  test('engine 33: what its owner has hung on the table is not run', async () => {
    const fleet = await fleetWith(`create sequence caught;
      create function bait(text) returns text immutable language plpgsql as $$ begin perform nextval('public.caught'); return $1; end $$;
      create table kept (migration text);
      create view a_view as select bait(migration) as migration from kept;
      create table a_policy (migration text);
      alter table a_policy enable row level security, force row level security;
      create policy p on a_policy using (bait('x') is null);
      create table generated (i int, migration text generated always as (bait('x')) stored);
      create table indexed (migration text);
      create index on indexed (bait('x')) where bait('y') is not null;
      create statistics s on bait(migration), bait('z') from indexed;
      create table parent (migration text);
      create table child (check (bait(migration) is null)) inherits (parent);
      insert into kept values ('2024_01_01_000001_meters');
      insert into indexed select migration from kept; insert into parent select migration from kept`);
    const [tenant] = fleet.tenants;
    const before = await fleet.of(tenant, 'select last_value as n from caught');
    for (const table of ['a_view', 'a_policy', 'generated', 'indexed', 'parent']) {
      const report = await baseline(fleet.config, { all: true }, { from: 'laravel', table });
      const read = table === 'indexed' || table === 'parent';
      expect(report.counts).toMatchObject(
        // A superuser reads past policies; the rest cannot be copied.
        read ? { changed: 1 } : table === 'a_policy' ? { unchanged: 1 } : { failed: 1 },
      );
    }
    expect(await fleet.of(tenant, 'select last_value as n from caught')).toEqual(before);
  });

  test('without a schema, the one in public is meant; of several others one must be named', async () => {
    const two = `create schema a; create schema b; ${laravel.replaceAll(' migrations ', ' a.migrations ')}
      create table b.migrations (migration text);`;
    const fleet = await fleetWith(two);
    const unclear = await baseline(fleet.config, { all: true }, { from: 'laravel' });
    expect(unclear.failures[0]?.error.hint).toBe('Choose one: --table a.migrations, or --table b.migrations');
    const named = await baseline(fleet.config, { all: true }, { from: 'laravel', table: 'a.migrations' });
    expect(named.groups[0]?.changes.map(({ name }) => name)).toEqual(half);
    await fleet.of(fleet.tenants[0], 'create table migrations (migration text)');
    const ours = await baseline(fleet.config, { all: true }, { from: 'laravel' });
    expect(ours).toMatchObject({ failures: [], counts: { unchanged: 1 } });
  });

  test('a table of another name is given with --table', async () => {
    const fleet = await fleetWith(`create schema app; ${laravel.replaceAll(' migrations ', ' app.steps ')}`);
    const report = await baseline(fleet.config, { all: true }, { from: 'laravel', table: 'app.steps' });
    expect(report.groups[0]?.changes.map(({ name }) => name)).toEqual(half);
  });
});
