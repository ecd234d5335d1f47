import { expect, test } from 'vitest';
import { withCentral } from '../../src/central/central.ts';
import { centralStatus } from '../../src/central/schema/status.ts';
import { streamTenants } from '../../src/central/list/tenants.ts';
import { centralDown, centralUp } from '../../src/central/schema/up.ts';
import type { MpmError } from '../../src/errors.ts';
import { configOf } from '../helpers/central.ts';
import { testServer, withDatabases } from '../helpers/database.ts';
import { folderOf, rowsIn, up, migrations, withFolders } from '../helpers/engine.ts';

const databases = withDatabases();
withFolders();

async function failure(work: Promise<unknown>): Promise<MpmError> {
  return work.then(
    () => Promise.reject(new Error('it did not fail')),
    (error: unknown) => error as MpmError,
  );
}

async function tenantsOf(config: ReturnType<typeof configOf>) {
  return withCentral(config, async (central) => {
    const list = [];
    for await (const tenant of streamTenants(central, {})) list.push(tenant);
    return list;
  });
}

test('central up creates the database that is missing, its tables and the ledger; twice is once', async () => {
  const name = `${databases.prefix}Mixed "Case" é`;
  const config = configOf(testServer(name));
  databases.adopt(name);
  const before = await centralStatus(config);
  expect(before).toMatchObject({ exists: false, upToDate: false, database: name });
  const first = await centralUp(config);
  expect(first).toMatchObject({ created: true, database: name });
  expect(first.sets.map(({ set, outcome }) => `${set} ${outcome}`)).toEqual([
    'ledger migrated',
    'registry migrated',
  ]);
  const again = await centralUp(config);
  expect(again.created).toBe(false);
  expect(again.sets.map(({ outcome }) => outcome)).toEqual(['current', 'current']);
  const status = await centralStatus(config);
  expect(status).toMatchObject({ exists: true, upToDate: true });
  expect(status.tables.map((table) => table.name)).toEqual([
    'mpm_migrate.ledger_history',
    'mpm_migrate.pool',
    'mpm_migrate.registry_history',
    'mpm_migrate.released',
    'mpm_migrate.run_parts',
    'mpm_migrate.run_tenants',
    'mpm_migrate.runs',
    'mpm_migrate.tool_histories',
    'public.companies',
    'public.company_databases',
    'public.company_plugins',
    'public.database_proxies',
    'public.plugins',
  ]);
});

test('twenty central up at once make one central database', async () => {
  const name = `${databases.prefix}twenty`;
  const config = configOf(testServer(name));
  databases.adopt(name);
  const reports = await Promise.all(Array.from({ length: 20 }, () => centralUp(config)));
  expect(reports.filter(({ created }) => created)).toHaveLength(1);
  expect((await centralStatus(config)).upToDate).toBe(true);
});

test('a registry made by hand is adopted without loss', async () => {
  const { url } = await databases.create('legacy');
  await rowsIn(
    url,
    `create table companies (id serial primary key, name varchar(255), address text not null default '', created_at timestamp);
     create table company_databases (id int primary key, company_id int, database_name varchar(255), created_at timestamp);
     create table database_proxies (id bigint, email varchar(255), fk_company_id bigint, fk_company_database_id bigint);
     insert into companies (name) values ('Acme Ltd'), ('Half-registered'), ('Kivu "Grid"');
     insert into company_databases values (7, 1, 'acme'), (9, 3, 'kivu grid');
     insert into database_proxies values (5, 'a@acme.example', 1, 7), (6, 'A@acme.example', 3, 9)`,
  );
  const config = configOf(url);
  await centralUp(config);
  const list = await tenantsOf(config);
  expect(list).toEqual([
    { id: '1', name: 'Acme Ltd', database: 'acme', server: 'default', status: 'active', labels: {} },
    { id: '2', name: 'Half-registered', database: '', server: 'default', status: 'active', labels: {} },
    { id: '3', name: 'Kivu "Grid"', database: 'kivu grid', server: 'default', status: 'active', labels: {} },
  ]);
  // Ids are counted on from what is there.
  const rows = await rowsIn<{ id: number }>(
    url,
    `insert into company_databases (company_id, database_name) values (2, 'half') returning id`,
  );
  expect(rows).toEqual([{ id: 10 }]);
  expect(await rowsIn(url, 'select email from database_proxies order by id')).toHaveLength(2);
  expect((await centralStatus(config)).upToDate).toBe(true);
});

test('a registry with uuid ids, without keys, and with a database that two share is adopted', async () => {
  const { url } = await databases.create('uuid');
  await rowsIn(
    url,
    `create table companies (id uuid not null, name text);
     create table company_databases (company_id uuid, database_name text);
     insert into companies select gen_random_uuid(), 'c' || n from generate_series(1, 3) n;
     insert into company_databases select id, 'same' from companies where name <> 'c3'`,
  );
  const config = configOf(url);
  await centralUp(config);
  const list = await tenantsOf(config);
  expect(list).toHaveLength(3);
  const clashing = list.filter(({ clash }) => clash);
  const [first] = list.filter(({ database }) => database === 'same');
  expect(clashing.map(({ clash }) => clash)).toEqual([{ kind: 'database', with: first?.id }]);
  await rowsIn(url, `insert into companies (name) values ('fourth')`);
});

test('a table that is no list of companies is refused, and nothing is changed', async () => {
  const { url } = await databases.create('foreign');
  await rowsIn(url, 'create table companies (company_no int primary key, title text)');
  const error = await failure(centralUp(configOf(url)));
  expect(error).toMatchObject({ code: 'CENTRAL_FAILED', exit: 1 });
  expect(error.message).toContain('has no column "id"');
  const [columns] = await rowsIn<{ count: number }>(
    url,
    `select count(*)::int from information_schema.columns where table_name = 'companies'`,
  );
  expect(columns?.count).toBe(2);
});

test('fleet 1: a central database that is behind stops before anything else', async () => {
  const { url, name } = await databases.create('behind');
  const error = await failure(tenantsOf(configOf(url)));
  expect(error).toMatchObject({ code: 'CENTRAL_BEHIND', subject: name, hint: 'mpm-migrate central up' });
  // The ledger alone is not enough where the companies are ours.
  await centralUp(configOf(url, { tenants: { query: 'select 1 as id' } }));
  expect(await failure(tenantsOf(configOf(url)))).toMatchObject({ code: 'CENTRAL_BEHIND' });
});

test('a missing, wrong or unreachable central database, and a wrong password, say so', async () => {
  const missing = await failure(tenantsOf(configOf(testServer(`${databases.prefix}none`))));
  expect(missing).toMatchObject({ code: 'DATABASE_MISSING' });
  expect(missing.hint).toContain('mpm-migrate central up');
  const wrong = new URL(testServer());
  wrong.password = 'not-the-password';
  const refused = await failure(tenantsOf(configOf(wrong.href)));
  if (refused.code !== 'CENTRAL_BEHIND') expect(refused).toMatchObject({ code: 'PASSWORD' });
  expect(JSON.stringify(refused)).not.toContain('not-the-password');
  const gone = await failure(tenantsOf(configOf('postgres://u:secret@127.0.0.1:1/x')));
  expect(gone).toMatchObject({ code: 'CONNECTION' });
  expect(gone.message).not.toContain('secret');
  const long = await failure(centralUp(configOf(testServer('a'.repeat(64)))));
  expect(long).toMatchObject({ code: 'CONFIG_INVALID' });
});

test("central up refuses a tenant's database", async () => {
  const { url } = await databases.create('tenant');
  await up(url, await migrations({ '1_a.sql': 'create table a ()' }));
  const error = await failure(centralUp(configOf(url)));
  expect(error).toMatchObject({ code: 'CENTRAL_INVALID' });
  // engine 46: and nobody is sent there.
  await expect(withCentral(configOf(url), async () => {})).rejects.toMatchObject({
    code: 'CENTRAL_INVALID',
    message: error.message,
  });
  expect(error.message).toContain("a tenant's database");
  expect(await rowsIn(url, `select to_regclass('mpm_migrate.runs') as t`)).toEqual([{ t: null }]);
});

test("the product's own central migrations follow ours, and only they are reverted", async () => {
  const { url } = await databases.create('own');
  const central = await folderOf({
    '1_sites.sql': '-- migrate:up\ncreate table sites ();\n-- migrate:down\ndrop table sites;',
    '2_note.sql': `-- migrate:up\ncomment on table companies is 'ours';\n-- migrate:down\ncomment on table companies is null;`,
  });
  const config = configOf(url);
  config.migrations = { ...config.migrations, central };
  const to = await centralUp(config, { to: '1' });
  expect(to.sets.at(-1)).toMatchObject({ set: 'central', to: '1_sites', pending: [] });
  expect((await centralStatus(config)).sets.at(-1)?.pending).toEqual(['2_note']);
  await centralUp(config);
  const down = await centralDown(config, { to: '0' });
  expect(down.sets[0]?.applied.map(({ name }) => name)).toEqual(['2_note', '1_sites']);
  expect(await failure(centralDown(configOf(url)))).toMatchObject({ code: 'FOLDER_MISSING' });
});

test('a failing central migration ends the command with code 1 and shows where', async () => {
  const { url } = await databases.create('failing');
  const central = await folderOf({ '1_bad.sql': 'create table x (\n  id nothing\n);' });
  const config = configOf(url);
  config.migrations = { ...config.migrations, central };
  const error = await failure(centralUp(config));
  expect(error).toMatchObject({ code: 'CENTRAL_FAILED', exit: 1, excerpt: { line: 2 } });
  expect(error.hint).not.toContain('tenant');
});
