import { describe, expect, onTestFinished, test } from 'vitest';
import { withCentral } from '../../src/central/central.ts';
import { exitCodeOf } from '../../src/cli/exit-code.ts';
import { status } from '../../src/fleet/verbs/status.ts';
import { up } from '../../src/fleet/verbs/up.ts';
import { repair } from '../../src/fleet/verbs/repair.ts';
import { verify } from '../../src/fleet/verbs/verify.ts';
import type { VerifyReport } from '../../src/fleet/report/verify-report.ts';
import { withDatabases } from '../helpers/database.ts';
import { clone } from '../../src/tenants/clone.ts';
import { drainPool, fillPool } from '../../src/tenants/create/pool.ts';
import { provision } from '../../src/tenants/create/provision.ts';
import { templatePrefix } from '../../src/tenants/create/template.ts';
import { referencePrefix } from '../../src/tenants/create/reference.ts';
import { addTenants, CORE, makeFleet, type TestFleet, type TestTenant } from '../helpers/fleet.ts';

const databases = withDatabases();

/** A schema with each kind of object that is compared. */
const RICH = {
  'core/1_base.sql': `-- migrate:up
create schema audit;
create type kind as enum ('water', 'power');
create domain share as numeric(5, 2) constraint share_range check (value between 0 and 100);
create type place as (street text, number int);
create table sites (id bigint generated always as identity primary key, name varchar(80) not null unique, at place, gone int, label varchar(80));
create table meters (
  id serial primary key,
  site bigint not null references sites (id) on delete cascade,
  kind kind not null default 'power',
  code text,
  big bigint,
  low numeric(10, 2) default 0.00,
  since timestamptz default '2020-01-01 00:00:00+00',
  state varchar(9) check (state in ('on', 'off')),
  total int generated always as (id * 2) stored,
  note text
);
create index meters_code on meters (lower(code)) where code is not null;
create index meters_since on meters (since desc);
create unlogged table cache (k text primary key, v jsonb);
create table audit.log (at timestamptz not null default now(), what text) partition by range (at);
create table audit.log_2024 partition of audit.log for values from ('2024-01-01') to ('2025-01-01');
create function touch() returns trigger language plpgsql as $$ begin new.note = coalesce(new.note, 'x'); return new; end $$;
create trigger meters_touch before update on meters for each row execute function touch();
create view busy as select m.id, s.name from meters m join sites s on s.id = m.site where m.state = 'on';
create view busier as select id from busy where name like 'a%';
create materialized view totals as select kind, count(*) as n from meters group by 1;
create unique index totals_kind on totals (kind);
create function plus(a int, b int default 1) returns int language sql immutable as 'select a + b';
create procedure tidy() language sql as 'delete from cache';
create aggregate joined(text) (sfunc = textcat, stype = text, initcond = '');
create sequence numbers increment 5 start 100;
alter table sites enable row level security;
create policy own on sites for select to public using (name = current_user);
create rule no_delete as on delete to cache do instead nothing;
grant select on busy to pg_read_all_data;
grant select (id, code) on meters to pg_monitor;
grant select on sites to pg_monitor with grant option;
revoke execute on function plus(int, int) from public;
alter default privileges in schema audit grant select on tables to pg_monitor;
comment on table meters is 'what counts';
`,
  'core/2_later.sql': `-- migrate:up
alter table sites drop column gone;
alter table sites add column zone text collate "C";
alter table meters rename column low to lowest;
alter table meters rename to counters;
alter table counters rename to meters;
`,
};

const left = () =>
  databases.query<{ name: string }>(
    "select datname as name from pg_database where datname like 'mpm_verify_%'",
  );

function said({ groups }: VerifyReport): string[] {
  return groups.map(
    ({ count, differences }) => `${count}: ${differences.map(({ message }) => message).join('; ')}`,
  );
}

async function rich(count: number): Promise<TestFleet> {
  const fleet = await makeFleet(databases, { count, files: RICH });
  const report = await up(fleet.config, { all: true });
  expect(report.counts.migrated).toBe(count);
  return fleet;
}

describe('verify', () => {
  test('confidence 7: finds nothing where nothing differs, and leaves nothing', async () => {
    const fleet = await rich(3);
    const report = await verify(fleet.config, { all: true }, { comments: true });
    expect(said(report)).toEqual([]);
    expect(report.failures).toEqual([]);
    expect(report.counts).toMatchObject({ total: 3, current: 3 });
    expect(await left()).toEqual([]);
  });

  /** Each: what is done to a tenant, what is said of it; `lossy`: no SQL mends it. */
  const changes: [sql: string, said: string, lossy?: 'lossy'][] = [
    ['alter table meters drop column note', 'meters.note is missing'],
    ['alter table meters add extra int', 'meters.extra is extra: no migration makes it', 'lossy'],
    ['alter table meters alter big type int', 'meters.big: type is integer, not bigint'],
    [
      'alter table sites alter label type varchar(90)',
      'sites.label: type is character varying(90), not character varying(80)',
    ],
    [
      'alter table sites alter zone type text collate "POSIX"',
      'sites.zone: type is text collate "POSIX", not text collate "C"',
    ],
    ['alter table meters alter lowest set default 1', 'meters.lowest: default is 1, not 0.00'],
    [
      'alter table meters alter kind drop default',
      "meters.kind: default is nothing, not 'power'::public.kind",
    ],
    ['alter table meters alter site drop not null', 'meters.site: not null is no, not yes'],
    ['alter table sites alter id drop identity', 'sites.id: identity is nothing, not always'],
    ['drop index meters_code', 'index meters_code is missing'],
    ['create index more on meters (site)', 'index more is extra: no migration makes it'],
    [
      'drop index meters_since; create index meters_since on meters (since)',
      'index meters_since differs: definition',
    ],
    ['alter table meters drop constraint meters_site_fkey', 'constraint meters.meters_site_fkey is missing'],
    [
      'alter table meters add constraint low check (lowest > -5) not valid',
      'constraint meters.low is extra: no migration makes it',
    ],
    [
      'create or replace function touch() returns trigger language plpgsql as $$ begin return new; end $$',
      'function touch() differs: definition',
    ],
    ['drop function plus(int, int)', 'function plus(a integer, b integer) is missing'],
    ['drop aggregate joined(text)', 'function joined(text) is missing'],
    ['drop procedure tidy()', 'function tidy() is missing'],
    [
      'alter table meters disable trigger meters_touch',
      'trigger meters.meters_touch: enabled is no, not yes',
    ],
    ['drop trigger meters_touch on meters', 'trigger meters.meters_touch is missing'],
    ['drop view busier', 'view busier is missing'],
    ['create or replace view busier as select id from busy', 'view busier differs: query'],
    ['drop materialized view totals', 'view totals is missing'],
    ['alter sequence numbers increment 7', 'sequence numbers: increment is 7, not 5'],
    [
      'alter sequence meters_id_seq owned by none',
      'sequence meters_id_seq: owned by is nothing, not public, meters, id',
    ],
    ['drop sequence numbers', 'sequence numbers is missing'],
    ['drop policy own on sites', 'policy sites.own is missing'],
    [
      'alter policy own on sites using (true)',
      'policy sites.own: using is true, not ((name)::text = CURRENT_USER)',
    ],
    ['alter table sites disable row level security', 'table sites: row security is no, not yes'],
    ['alter table sites force row level security', 'table sites: forced row security is yes, not no'],
    ['drop rule no_delete on cache', 'rule cache.no_delete is missing'],
    [
      'revoke select on busy from pg_read_all_data',
      'view busy: privileges is nothing, not pg_read_all_data SELECT',
    ],
    [
      'revoke grant option for select on sites from pg_monitor',
      'table sites: privileges is pg_monitor SELECT, not pg_monitor SELECT WITH GRANT OPTION',
    ],
    [
      'revoke select (id) on meters from pg_monitor',
      'meters.id: privileges is nothing, not pg_monitor SELECT',
    ],
    [
      'grant execute on function plus(int, int) to public',
      'function plus(a integer, b integer): privileges is public EXECUTE, not nothing',
    ],
    [
      'alter default privileges in schema audit revoke select on tables from pg_monitor',
      'default privileges audit.tables is missing',
    ],
    ["alter type kind add value 'gas'", 'type kind: labels is water, power, gas, not water, power', 'lossy'],
    ['drop table cache', 'table cache is missing'],
    ['create table own (id serial primary key)', 'table own is extra: no migration makes it', 'lossy'],
    ['alter table cache set logged', 'table cache: is is permanent, not unlogged'],
    ['drop table audit.log', 'table audit.log is missing'],
    ['create extension pg_trgm', 'extension pg_trgm is extra: no migration makes it', 'lossy'],
    ["create collation other (locale = 'C')", 'collation other is extra: no migration makes it', 'lossy'],
    ['alter domain share drop constraint share_range', 'type share differs: constraints', 'lossy'],
    ["comment on table meters is 'other'", 'comment table public.meters: text is other, not what counts'],
    ['comment on table meters is null', 'comment table public.meters is missing'],
  ];

  test('confidence 7: each kind of difference is found, told, and mended by the SQL that is shown', async () => {
    const fleet = await rich(1);
    const [model] = fleet.tenants as [TestTenant];
    const copies = await Promise.all(
      changes.map(async (_, at) => ({
        id: String(at + 100),
        name: `x${at}`,
        database: (await databases.clone(model.database, `x${at}`)).name,
      })),
    );
    await addTenants(fleet, copies);
    for (const [at, [sql]] of changes.entries()) await fleet.of(copies[at], sql);
    const report = await verify(fleet.config, { all: true }, { comments: true });
    expect(report.failures.filter(({ error }) => error.code !== 'DRIFT')).toEqual([]);
    const byId = new Map(report.groups.map((group) => [group.tenants[0]?.id, group]));
    expect(
      changes.map((_, at) =>
        byId
          .get(String(at + 100))
          ?.differences.map(({ message }) => message)
          .join('; '),
      ),
    ).toEqual(changes.map(([, text]) => text));
    for (const [at, [change]] of changes.entries()) {
      const sql = byId.get(String(at + 100))?.sql ?? [];
      await fleet.of(copies[at], sql.join('\n')).catch((error: unknown) => {
        throw new Error(`after ${change}: ${sql.join('\n')}: ${String(error)}`);
      });
    }
    const again = await verify(fleet.config, { all: true }, { comments: true });
    const lossy = changes.flatMap(([, text, mark]) => (mark ? [text] : []));
    expect(
      again.groups.flatMap(({ differences }) => differences.map(({ message }) => message)).sort(),
    ).toEqual(lossy.sort());
    expect(await left()).toEqual([]);
  }, 60_000);

  test('confidence 7: groups of equal differences, one name for each', async () => {
    const fleet = await rich(1);
    const [model] = fleet.tenants as [TestTenant];
    const copies = await Promise.all(
      Array.from({ length: 19 }, async (_, at) => ({
        id: String(at + 2),
        name: `x${at}`,
        database: (await databases.clone(model.database, `x${at}`)).name,
      })),
    );
    await addTenants(fleet, copies);
    const done = [
      ...Array.from({ length: 9 }, () => 'alter table meters alter big type int'),
      ...Array.from({ length: 2 }, () => 'drop index meters_code'),
      "create or replace function touch() returns trigger language plpgsql as 'begin return null; end'",
      'alter table sites alter zone type text collate "POSIX"',
      'alter table meters disable trigger meters_touch',
      'revoke select on busy from pg_read_all_data',
    ];
    await Promise.all(done.map((sql, at) => fleet.of(copies[at], sql)));
    const report = await verify(fleet.config, { all: true });
    expect(report.counts).toMatchObject({ total: 20, current: 5, drifted: 15 });
    expect(said(report).toSorted()).toEqual([
      '1: function touch() differs: definition',
      '1: sites.zone: type is text collate "POSIX", not text collate "C"',
      '1: trigger meters.meters_touch: enabled is no, not yes',
      '1: view busy: privileges is nothing, not pg_read_all_data SELECT',
      '2: index meters_code is missing',
      '9: meters.big: type is integer, not bigint',
    ]);
    expect(exitCodeOf(report)).toBe(4);
    const [run] = await fleet.central<{ outcomes: string }>(
      "select string_agg(outcome, ',' order by outcome) as outcomes from mpm_migrate.run_tenants where outcome = 'drifted'",
    );
    expect(run?.outcomes.split(',')).toHaveLength(15);
    expect((await status(fleet.config, { all: true })).verified).toMatchObject({
      run: report.run,
      counts: { current: 5, drifted: 15 },
    });
  }, 60_000);

  test('confidence 7: tenants made from a template, from the pool, as a copy, and by applying are the same', async () => {
    const fleet = await rich(1);
    const { config } = fleet;
    const named = (label: string) => ({ name: `${databases.prefix}${label}` });
    const adopt = (database: string) => void databases.adopt(database);
    adopt((await provision(config, named('first'))).tenant.database);
    await fillPool(config, { size: 1 });
    adopt((await provision(config, named('pooled'))).tenant.database);
    adopt((await clone(config, '1', named('copied'))).tenant.database);
    adopt((await provision({ ...config, templates: false }, named('applied'))).tenant.database);
    const report = await verify(config, { all: true }, { comments: true });
    expect(said(report)).toEqual([]);
    expect(report.counts).toMatchObject({ total: 5, current: 5 });
    await drainPool(config, {});
    const { config: known } = await withCentral(config, (central) => Promise.resolve(central));
    const templates = await databases.query<{ name: string }>(
      `select datname::text as name from pg_database where starts_with(datname, '${templatePrefix(known)}')`,
    );
    for (const { name } of templates) databases.adopt(name);
  }, 60_000);

  test('confidence 7: what PostgreSQL writes in another way is no difference', async () => {
    const fleet = await rich(1);
    const [tenant] = fleet.tenants;
    // As a dump that was restored has it, an upgrade of the server, and who looks after partitions.
    const written =
      "((state)::text = ANY (ARRAY[('on'::character varying)::text, ('off'::character varying)::text]))";
    await fleet.of(
      tenant,
      `alter table meters drop constraint meters_state_check, add constraint meters_state_check check ${written}`,
    );
    await fleet.of(tenant, 'alter table meters rename constraint meters_site_fkey to counters_site_fkey');
    await fleet.of(tenant, 'alter table meters add gone int; alter table meters drop gone');
    await fleet.of(
      tenant,
      "create table audit.log_2025 partition of audit.log for values from ('2025-01-01') to ('2026-01-01'); drop table audit.log_2024",
    );
    await fleet.of(
      tenant,
      'grant create on schema public to public; create table knex_migrations (id serial primary key, name text)',
    );
    await fleet.of(tenant, "select setval('numbers', 1000)");
    expect(said(await verify(fleet.config, { all: true }))).toEqual([]);
  });

  test('confidence 7: what tenants may own is left out', async () => {
    const fleet = await rich(1);
    const [tenant] = fleet.tenants;
    await fleet.of(
      tenant,
      'create schema reports; create table reports.mine (id serial primary key); create index own on meters (note); alter table meters add own_x int',
    );
    const ignoring = (...ignore: string[]) => verify({ ...fleet.config, verify: { ignore } }, { all: true });
    expect(said(await ignoring('schema:reports', 'reports.*', 'index:own'))).toEqual([
      '1: meters.own_x is extra: no migration makes it',
    ]);
    expect(said(await ignoring('schema:reports', 'reports.*', 'meters'))).toEqual([]);
  });

  test('confidence 7: a history whose files are not known any more is not compared', async () => {
    const fleet = await makeFleet(databases, { count: 4 });
    await up(fleet.config, { all: true });
    await fleet.of(
      fleet.tenants[0],
      "update mpm_migrate.history set checksum = 'v2:0:0' where name = '2_note'",
    );
    await fleet.of(
      fleet.tenants[1],
      "update mpm_migrate.history set name = '9_newer', version = '9' where name = '2_note'",
    );
    await fleet.of(
      fleet.tenants[2],
      "update mpm_migrate.history set state = 'failed', finished_at = null where name = '2_note'",
    );
    const report = await verify(fleet.config, { all: true });
    expect(report.counts).toMatchObject({ current: 1, failed: 3 });
    expect(report.failures.map(({ error }) => [error.code, error.message]).toSorted()).toEqual([
      ['NOT_COMPARABLE', "can't be compared: 2_note is half-done there, or at work"],
      ['NOT_COMPARABLE', "can't be compared: 2_note was changed after it was applied"],
      ['NOT_COMPARABLE', "can't be compared: 9_newer has no file any more, or a newer release applied it"],
    ]);
    expect(exitCodeOf(report)).toBe(3);
    // The remedy, as it is printed.
    const changed = report.failures.find(({ error }) => error.message.endsWith('after it was applied'));
    expect(changed?.error.hint).toContain('mpm-migrate repair 2_note --tenant 1 --checksums --write');
    await repair(fleet.config, { tenants: ['1'] }, { kind: 'checksums', names: ['2_note'], write: true });
    expect((await verify(fleet.config, { tenants: ['1'] })).counts).toMatchObject({ current: 1, failed: 0 });
  });

  test('confidence 7: late and missing ones are applied as the tenant applied them', async () => {
    const files = { ...CORE, 'core/4_more.sql': 'alter table meters add more int;' };
    const fleet = await makeFleet(databases, { count: 2, files });
    await up(fleet.config, { tenants: ['1'] });
    await fleet.write({ 'core/3_between.sql': 'alter table meters add between_ int;' });
    await up(fleet.config, { tenants: ['2'] });
    await up(fleet.config, { tenants: ['1'] }, { outOfOrder: true });
    const report = await verify(fleet.config, { all: true });
    expect([said(report), report.failures]).toEqual([[], []]);
    expect(report.counts).toMatchObject({ current: 2 });
  });

  test('confidence 7: where the migrations do not apply, it says so once, for all', async () => {
    const fleet = await makeFleet(databases, { count: 3 });
    await up(fleet.config, { all: true });
    const role = `${databases.prefix}gone`;
    await databases.query(`create role ${role}`);
    await fleet.write({ 'core/3_grant.sql': `grant select on meters to ${role};` });
    await up(fleet.config, { all: true });
    for (const { database } of fleet.tenants) await databases.query(`drop owned by ${role}`, database);
    await databases.query(`drop role ${role}`);
    const report = await verify(fleet.config, { all: true });
    expect(report.counts).toMatchObject({ failed: 3 });
    expect(report.failures).toHaveLength(1);
    expect(report.failures[0]?.error).toMatchObject({ code: 'NOT_COMPARABLE', migration: '3_grant' });
    expect(await left()).toEqual([]);
  });

  test('confidence 7: a role that may only read, a ledger that is not written', async () => {
    const fleet = await makeFleet(databases, { count: 2 });
    await up(fleet.config, { all: true });
    await fleet.of(fleet.tenants[1], 'alter table meters drop note');
    const role = `${databases.prefix}reader`;
    await databases.query(`create role ${role} login password 'secret' in role pg_read_all_data`);
    onTestFinished(async () => void (await databases.query(`drop role ${role}`)));
    const asReader = (url: string): string =>
      Object.assign(new URL(url), { username: role, password: 'secret' }).href;
    const url = String(fleet.config.servers['default']?.url);
    const reading = {
      ...fleet.config,
      central: { url: asReader(String(fleet.config.central.url)) },
      servers: { default: { name: 'default', url: asReader(url) }, builder: { name: 'builder', url } },
    };
    const without = await verify(reading, { all: true });
    expect(without.failures[0]?.error).toMatchObject({
      code: 'NOT_COMPARABLE',
      hint: expect.stringContaining('createdb'),
    });
    expect(exitCodeOf(without)).toBe(3);
    const report = await verify({ ...reading, verify: { reference: 'builder' } }, { all: true });
    expect(said(report)).toEqual(['1: meters.note is missing']);
    expect(report.notices.join()).toContain("the ledger can't be written");
    expect(report).toMatchObject({ run: null, counts: { current: 1, drifted: 1 } });
    expect(exitCodeOf(report)).toBe(4);
  });

  test('confidence 7: what a killed one left is dropped by the next one', async () => {
    const fleet = await makeFleet(databases, { count: 1 });
    await up(fleet.config, { all: true });
    const prefix = await withCentral(fleet.config, async ({ config }) => referencePrefix(config));
    const old = `${prefix}0123456789abcdef`;
    await databases.query(`create database ${old}`);
    await verify(fleet.config, { all: true });
    expect(await left()).toEqual([]);
  });
});
