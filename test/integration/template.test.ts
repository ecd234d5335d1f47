import { readdirSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Config } from '../../src/config/define.ts';
import { centralUp } from '../../src/central/schema/up.ts';
import { readTenantSources } from '../../src/tenants/create/tenant-sources.ts';
import { buildDatabase, newBuildingName } from '../../src/tenants/create/build.ts';
import { provision } from '../../src/tenants/create/provision.ts';
import { drainPool, fillPool, poolStatus } from '../../src/tenants/create/pool.ts';
import { findTemplate, templatePrefix } from '../../src/tenants/create/template.ts';
import { withServer } from '../../src/tenants/server.ts';
import { catalogOf } from '../helpers/catalog.ts';
import { configOf, identified } from '../helpers/central.ts';
import { testServer, withDatabases } from '../helpers/database.ts';
import { folderOf, historyOf, rowsIn, withFolders } from '../helpers/engine.ts';

const databases = withDatabases();
withFolders();

const SEEDS = {
  'countries.sql': `insert into countries (code) values ('tz'), ('cd');`,
  '2_tariffs.ts': `export async function up(db) { await db.insertInto('tariffs').values({ price: 7 }).execute(); }`,
};

/** What a history may do that a copy must have too. */
const CORE = {
  '1_tables.sql': `create table meters (id bigserial primary key, code text unique check (code <> ''));
create table countries (code text primary key);
create table tariffs (id int generated always as identity primary key, price int);
comment on table meters is 'what it measures';
create type state as enum ('on', 'off');
create view codes as select code from meters;
insert into meters (code) values ('first');`,
  '2_rights.sql': `grant select on meters to public;
alter default privileges grant select on tables to public;
create function twice(n int) returns int language sql as 'select n * 2';
revoke execute on function twice from public;
alter table meters enable row level security;
create policy all_of_them on meters using (true);`,
  '3_database.sql': `do $$ begin
execute format('alter database %I set search_path to %s', current_database(), '"$user", public, "My Schema"');
execute format('alter database %I set app.company to %L', current_database(), 'it''s');
execute format('revoke temporary on database %I from public', current_database());
end $$;`,
  '4_index.sql': `-- migrate:up transaction:false
create index concurrently meters_lower on meters (lower(code));`,
};

async function fleetOf(core: Record<string, string>, seeds?: Record<string, string>) {
  const { url } = await databases.create('central');
  const config = configOf(url);
  config.migrations = { ...config.migrations, core: await folderOf(core) };
  if (seeds) config.migrations.seeds = await folderOf(seeds);
  await centralUp(config);
  return { config, url };
}

async function make(config: Config, label: string, input: { claim?: boolean } = {}) {
  const report = await provision(config, { name: `${databases.prefix}${label}`, ...input });
  databases.adopt(report.tenant.database);
  return { report, url: testServer(report.tenant.database) };
}

async function templatesOf(config: Config): Promise<string[]> {
  const rows = await databases.query<{ name: string }>(
    `select datname::text as name from pg_database where starts_with(datname, '${templatePrefix(await identified(config))}') order by datname`,
  );
  return rows.map(({ name }) => name);
}

async function clear(config: Config): Promise<void> {
  await drainPool(config);
  for (const name of await templatesOf(config)) databases.adopt(name);
}

test('fleet 15: a tenant by replay, from the template and from the pool are the same, but for the source of the history', async () => {
  const { config } = await fleetOf(CORE, SEEDS);
  const replayed = await make({ ...config, templates: false }, 'replayed');
  const first = await make(config, 'first');
  const cloned = await make(config, 'cloned');
  await fillPool(config, { size: 1 });
  const pooled = await make(config, 'pooled');
  expect([replayed, first, cloned, pooled].map(({ report }) => report.source)).toEqual([
    'migrations',
    'template',
    'template',
    'pool',
  ]);
  expect(cloned.report).toMatchObject({ head: '4_index', applied: [], notices: [], created: true });

  const catalog = await catalogOf(replayed.url);
  expect(catalog.length).toBeGreaterThan(60);
  expect(catalog.join('\n')).toMatch(/comment of the database \[mpm-migrate:2:4:[0-9a-f]{64}\]/);
  expect(catalog.join('\n')).toContain("app.company=it's");
  const histories: unknown[] = [];
  for (const { url } of [replayed, first, cloned, pooled]) {
    expect(await catalogOf(url)).toEqual(catalog);
    const rows = await rowsIn<{ source: string }>(
      url,
      'select position, name, version, checksum, state, statements_done, statements, run_id, tool_version, database_user, actor, source from mpm_migrate.history order by position',
    );
    histories.push(rows.map((row) => ({ ...row, source: undefined })));
    const source = url === replayed.url ? 'core' : 'template';
    expect(new Set(rows.map((row) => row.source))).toEqual(new Set([source]));
    expect(await rowsIn(url, 'select price from tariffs')).toEqual([{ price: 7 }]);
    expect(await rowsIn(url, 'select name, state from mpm_migrate.history_seeds order by position')).toEqual([
      { name: 'countries', state: 'applied' },
      { name: '2_tariffs', state: 'applied' },
    ]);
    expect(
      await rowsIn(url, 'select table_name as name from mpm_migrate.history_reference order by 1'),
    ).toEqual([{ name: 'countries' }, { name: 'meters' }, { name: 'tariffs' }]);
  }
  for (const history of histories) expect(history).toEqual(histories[0]);
  await clear(config);
});

test('fleet 15: the template follows the core folder, is closed, and is never half-built', async () => {
  const { config } = await fleetOf({ '1_a.sql': 'create table a ();' });
  await make(config, 'one');
  const [first = ''] = await templatesOf(config);
  expect(
    await databases.query(`select datallowconn as open from pg_database where datname = '${first}'`),
  ).toEqual([{ open: false }]);

  // What a killed builder leaves is not taken for a template.
  await writeFile(join(config.migrations.core, '2_b.sql'), 'create table b ();');
  await databases.query(`create database "${templatePrefix(await identified(config))}new"`);
  const two = await make(config, 'two');
  expect(await historyOf(two.url)).toEqual(['1_a applied', '2_b applied']);
  expect(two.report.source).toBe('template');
  expect(await templatesOf(config)).toHaveLength(2);

  // The one before stays for a release that is still at work; older ones go.
  await writeFile(join(config.migrations.core, '3_c.sql'), 'create table c ();');
  await make(config, 'three');
  const left = await templatesOf(config);
  expect(left).toHaveLength(2);
  expect(left).not.toContain(first);
  await clear(config);
});

test('fleet 55: two fleets on one server, whose central databases have one name, have templates of their own', async () => {
  const { config, url } = await fleetOf({ '1_a.sql': 'create table a ();' });
  const mine = templatePrefix(await identified(config));
  expect(templatePrefix(await identified(config))).toBe(mine);
  // The other one's was made at another time.
  await rowsIn(
    url,
    "update mpm_migrate.ledger_history set started_at = started_at + interval '1 microsecond'",
  );
  expect(templatePrefix(await identified(config))).not.toBe(mine);
});

test('fleet 15: twenty at once build the template once, and each gets a copy', async () => {
  const { config } = await fleetOf({ '1_a.sql': 'create table a ();\nselect pg_sleep(0.3);' });
  const made = await Promise.all(Array.from({ length: 20 }, (_, at) => make(config, `at_once_${at}`)));
  expect(new Set(made.map(({ report }) => report.source))).toEqual(new Set(['template']));
  const started = await Promise.all(
    made.map(({ url }) =>
      rowsIn<{ at: string }>(url, 'select started_at::text as at from mpm_migrate.history'),
    ),
  );
  expect(new Set(started.map(([row]) => row?.at)).size).toBe(1);
  expect(await templatesOf(config)).toHaveLength(1);
  await clear(config);
}, 60_000);

test('fleet 15: a template that is dropped after it was found is done without', async () => {
  const { config } = await fleetOf({ '1_a.sql': 'create table a ();' });
  await make(config, 'first');
  const [template = ''] = await templatesOf(config);
  await withServer(config, 'default', async (server) => {
    const files = await readTenantSources(config);
    const found = await findTemplate(server, await identified(config), files);
    expect(found).toMatchObject({ name: template });
    await databases.adopt(template).drop();
    const building = { database: `${databases.prefix}without`, buildingAs: newBuildingName(), oid: null };
    const said: string[] = [];
    const options = { template, onNoTemplate: (why: string) => said.push(why) };
    const record = (): Promise<void> => Promise.resolve();
    const built = await buildDatabase(server, { ...building, isNew: true }, record, () =>
      Promise.resolve(options),
    );
    databases.adopt(building.database);
    expect(built).toBe('created');
    expect(said).toEqual([expect.stringContaining(`template database "${template}" does not exist`)]);
  });
});

test('fleet 15: without the right to a template a tenant is made by replay, with a notice', async () => {
  const { config } = await fleetOf({ '1_a.sql': 'create table a ();' });
  await make(config, 'owner');
  const [template = ''] = await templatesOf(config);
  const role = `${databases.prefix}creator`;
  await databases.query(`create role "${role}" login createdb password 'creator'`);
  try {
    const server = new URL(testServer('postgres'));
    server.username = role;
    server.password = 'creator';
    config.servers['other'] = { name: 'other', url: server.href };
    const report = await provision(config, { name: `${databases.prefix}Replayed`, server: 'other' });
    databases.adopt(report.tenant.database);
    expect(report).toMatchObject({ source: 'migrations', applied: [{ name: '1_a' }] });
    expect(report.notices.join()).toContain(`the template ${template} belongs to`);
    await databases.query(`reassign owned by "${role}" to current_user`, report.tenant.database);
    await databases.query(`alter database "${report.tenant.database}" owner to current_user`);
  } finally {
    await databases.query(`drop role "${role}"`);
  }
  await clear(config);
});

test('a tenant with a folder of its own gets what is in it, not the template or a database of the pool', async () => {
  const { config } = await fleetOf({ '1_a.sql': 'create table a ();', '2_b.sql': 'create table b ();' });
  await fillPool(config, { size: 1 });
  const folder = join(config.migrations.tenants, `${databases.prefix}own`);
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, '1_a.sql'), 'create table a ();');
  const { report, url } = await make(config, 'own', { claim: true });
  expect(report.source).toBe('migrations');
  expect(await historyOf(url)).toEqual(['1_a applied']);
  expect(await poolStatus(config)).toMatchObject([{ ready: 1 }]);
  await clear(config);
});

test('the pool is filled, handed out once each, and never stale', async () => {
  const { config, url } = await fleetOf({ '1_a.sql': 'create table a ();' });
  expect(await fillPool(config, { size: 3 })).toMatchObject({ made: 3, ready: 3, stale: 0, dropped: 0 });
  expect(await fillPool(config, { size: 3 })).toMatchObject({ made: 0, ready: 3 });
  const made = await Promise.all(Array.from({ length: 5 }, (_, at) => make(config, `taker_${at}`)));
  expect(made.map(({ report }) => report.source).toSorted()).toEqual([
    'pool',
    'pool',
    'pool',
    'template',
    'template',
  ]);
  for (const { url: tenant } of made) expect(await historyOf(tenant)).toEqual(['1_a applied']);

  await fillPool(config, { size: 2 });
  await writeFile(join(config.migrations.core, '2_b.sql'), 'create table b ();');
  expect(await poolStatus(config)).toEqual([{ server: 'default', ready: 0, stale: 2, unfinished: 0 }]);
  expect((await make(config, 'later')).report).toMatchObject({ source: 'template', head: '2_b' });
  // What a killed fill leaves.
  await rowsIn(
    url,
    `insert into mpm_migrate.pool (server, database_name, blueprint) values ('default', 'mpm_pool_gone', 'x')`,
  );
  expect(await fillPool(config, { size: 1 })).toMatchObject({ made: 1, dropped: 3, ready: 1, unfinished: 0 });
  expect(await drainPool(config)).toMatchObject({ dropped: 1, ready: 0 });
  expect(await databases.query(`select from pg_database where datname ~ '^mpm_pool_'`)).toEqual([]);
  await clear(config);
});

test('a pool is filled by replay where templates are off', async () => {
  const { config } = await fleetOf(
    { '1_a.sql': 'create table a (id int);' },
    { 'a.sql': 'insert into a values (1)' },
  );
  config.templates = false;
  expect(await fillPool(config, { size: 1 })).toMatchObject({ made: 1, notices: [] });
  const { report, url } = await make(config, 'from_pool');
  expect(report.source).toBe('pool');
  expect(await rowsIn(url, 'select id from a')).toEqual([{ id: 1 }]);
  expect(readdirSync(config.migrations.seeds)).toEqual(['a.sql']);
});

test('a seed that fails undoes the tenant, and says which', async () => {
  const { config, url } = await fleetOf(
    { '1_a.sql': 'create table a ();' },
    { 'bad.sql': 'insert into nothing values (1)' },
  );
  for (const templates of [true, false]) {
    const error: unknown = await make({ ...config, templates }, 'bad').catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'PROVISION_FAILED', migration: 'bad' });
  }
  expect(await rowsIn(url, 'select from companies')).toEqual([]);
  expect(await templatesOf(config)).toEqual([]);
});
