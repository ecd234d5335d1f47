import { execFileSync } from 'node:child_process';
import { beforeAll, expect, test } from 'vitest';
import { type Central, withCentral } from '../../src/central/central.ts';
import { tenantProblem } from '../../src/central/list/problem.ts';
import type { Tenant } from '../../src/central/list/tenant.ts';
import {
  countTenants,
  findTenant,
  pagesOfTenants,
  type TenantFilter,
} from '../../src/central/list/tenants.ts';
import { centralUp } from '../../src/central/schema/up.ts';
import type { Config } from '../../src/config/define.ts';
import type { MpmError } from '../../src/errors.ts';
import { idWord } from '../../src/shell-word.ts';
import { configOf } from '../helpers/central.ts';
import { withDatabases } from '../helpers/database.ts';
import { rowsIn } from '../helpers/engine.ts';

const databases = withDatabases();
let config: Config;
let url: string;

beforeAll(async () => {
  ({ url } = await databases.create('central'));
  config = configOf(url);
  config.servers['eu'] = { name: 'eu', url: 'postgres://eu.example/postgres' };
  await centralUp(config);
  await rowsIn(
    url,
    `insert into companies (id, name) select n, 'Company ' || n from generate_series(1, 1200) n;
     update companies set name = 'Twin' where id in (5, 6);
     update companies set name = '8' where id = 9;
     insert into company_databases (company_id, database_name, server, status, labels)
     select n, 'db_' || n, case when n % 3 = 0 then 'eu' else 'default' end, case when n = 7 then 'hold' else 'active' end,
       case when n % 2 = 0 then '{"tier":"gold"}' else '{"tier":"free","old":true}' end::jsonb from generate_series(1, 1200) n;`,
  );
});

async function idsOf(filter: TenantFilter, options = {}): Promise<string[]> {
  return (await tenantsOf(filter, config, options)).map(({ id }) => id);
}

async function tenantsOf(filter: TenantFilter, of = config, options = {}): Promise<Tenant[]> {
  return withCentral(of, async (central) => {
    const list: Tenant[] = [];
    const next = pagesOfTenants(central, filter, options);
    for (let page = await next(); page; page = await next()) list.push(...page);
    return list;
  });
}

async function failure(work: Promise<unknown>): Promise<MpmError> {
  return work.then(
    () => Promise.reject(new Error('it did not fail')),
    (error: unknown) => error as MpmError,
  );
}

const asked = <T>(use: (central: Central) => Promise<T>) => withCentral(config, use);

test('fleet 2: every tenant comes once, in the order of ids, whatever the page', async () => {
  const all = Array.from({ length: 1200 }, (_, at) => String(at + 1));
  expect(await idsOf({ all: true })).toEqual(all);
  expect(await idsOf({}, { pageSize: 7 })).toEqual(all);
  expect(await idsOf({}, { pageSize: 1200 })).toEqual(all);
});

test('ids, names, databases, ranges, exclusions, labels and servers select', async () => {
  expect(await idsOf({ tenants: ['3', 'Company 12', 'db_20', '3'] })).toEqual(['3', '12', '20']);
  expect(await idsOf({ tenants: ['1..4', '-2', '40'] })).toEqual(['1', '3', '4', '40']);
  expect(await idsOf({ tenants: ['1..9'], exclude: ['3..8', 'db_1'] })).toEqual(['2', '9']);
  expect(await idsOf({ tenants: ['1..9'], labels: { tier: 'gold' } })).toEqual(['2', '4', '6', '8']);
  expect(await idsOf({ tenants: ['1..4'], labels: { old: 'true' } })).toEqual(['1', '3']);
  expect(await idsOf({ tenants: ['1..9'] }, { server: 'eu' })).toEqual(['3', '6', '9']);
  expect(await idsOf({ status: 'hold' })).toEqual(['7']);
  expect(await idsOf({ ids: ['4', 'no-such', '2'] })).toEqual(['2', '4']);
  expect(await idsOf({ ids: [] })).toEqual([]);
  // An id is meant before a name.
  expect(await idsOf({ tenants: ['8'] })).toEqual(['8']);
  const [seventh] = await tenantsOf({ tenants: ['7'] });
  expect(seventh).toMatchObject({ status: 'hold', labels: { tier: 'free', old: 'true' } });
});

test('tenants are counted by server', async () => {
  expect(await asked((central) => countTenants(central, {}))).toEqual([
    { server: 'default', count: 800 },
    { server: 'eu', count: 400 },
  ]);
  expect(await asked((central) => countTenants(central, { tenants: ['3'] }))).toEqual([
    { server: 'eu', count: 1 },
  ]);
});

test('a tenant that does not exist is an error with near names, a name of two one with their ids', async () => {
  const unknown = await failure(idsOf({ tenants: ['Compani 1199'] }));
  expect(unknown).toMatchObject({ code: 'UNKNOWN_TENANT', exit: 2, subject: 'Compani 1199' });
  expect(unknown.hint).toContain('Company 1199 (1199)');
  expect((await failure(idsOf({ tenants: ['zzzzzzzz'] }))).hint).toContain('tenant list');
  expect(await failure(idsOf({ all: true, exclude: ['nobody'] }))).toMatchObject({ code: 'UNKNOWN_TENANT' });
  const twins = await failure(asked((central) => findTenant(central, 'Twin')));
  expect(twins).toMatchObject({ code: 'USAGE' });
  expect(twins.message).toMatch(/5 \(Twin, database db_5\); 6 \(Twin, database db_6\)/);
  expect(await failure(idsOf({ tenants: ['5000..6000'] }))).toMatchObject({ code: 'UNKNOWN_TENANT' });
  expect(await failure(idsOf({ tenants: ['9..1'] }))).toMatchObject({ code: 'USAGE' });
  expect(await failure(idsOf({ tenants: ["'; drop table companies; --"] }))).toMatchObject({
    code: 'UNKNOWN_TENANT',
  });
  expect(await failure(idsOf({ tenants: ['99999999999999999999..99999999999999999999'] }))).toMatchObject({
    code: 'UNKNOWN_TENANT',
  });
  expect(await idsOf({ tenants: ['1199..99999999999999999999'] })).toEqual(['1199', '1200']);
});

test('any query lists tenants, with ids of any type and only the columns that there are', async () => {
  const of = (query: string) => ({ ...config, tenants: { query } });
  const plain = of(
    `select * from (values ('b', 'Bee', 'db_b'), ('a', 'Ay', 'db_a')) v (id, name, database); -- all`,
  );
  expect(await tenantsOf({}, plain, { pageSize: 1 })).toEqual([
    { id: 'a', name: 'Ay', database: 'db_a', server: 'default', status: 'active', labels: {} },
    { id: 'b', name: 'Bee', database: 'db_b', server: 'default', status: 'active', labels: {} },
  ]);
  expect((await failure(tenantsOf({ tenants: ['1..9'] }, plain))).code).toBe('USAGE');
  const full = of(
    `select '00000000-0000-0000-0000-00000000000' || n as idtext, ('00000000-0000-0000-0000-00000000000' || n)::uuid as id,
     'N' || n as name, 'd' || n as database, 'eu' as server, 'paused' as status, '{"tier":1}' as labels from generate_series(1, 3) n`,
  );
  const list = await tenantsOf({ labels: {} }, full, { pageSize: 2 });
  expect(list).toHaveLength(3);
  expect(list[0]).toMatchObject({ server: 'eu', status: 'paused', labels: { tier: '1' } });
  expect(await tenantsOf({ tenants: ['N2'] }, full)).toHaveLength(1);
});

test('fleet 36, 37: any id can be typed, and what a remedy names is nobody else', async () => {
  const of = (rows: string) => ({
    ...config,
    tenants: { query: `select * from (values ${rows}) v (id, name, database)` },
  });
  const numbers = of("(-5, 'minus', 'db_m'), (5, 'plus', 'db_p'), (7, 'id:5', 'db_s')");
  const ids = async (tenants: string[], where: Config) =>
    (await tenantsOf({ tenants }, where)).map(({ id }) => id);
  expect(await ids(['id:-5'], numbers)).toEqual(['-5']);
  expect(await ids(['-5', '5', '7'], numbers)).toEqual(['7']);
  expect(await ids(['5', '7', '-id:-5'], numbers)).toEqual(['5', '7']);
  expect(await ids(['id:5'], numbers)).toEqual(['5']);
  const texts = of(
    "('x9', 'acme', 'db_9'), ('acme', 'Other', 'db_a'), ('1..3', 'Range', 'db_r'), ('a b', 'Space', 'db_b')",
  );
  expect(await ids(['acme'], texts)).toEqual(['acme']);
  for (const id of ['x9', 'acme', '1..3', 'a b']) {
    const words = execFileSync('sh', ['-c', `printf '%s\\n' ${idWord(id)}`], { encoding: 'utf8' })
      .trimEnd()
      .split('\n');
    expect(await ids(words, texts)).toEqual([id]);
  }
  expect(await failure(ids(['id:nobody'], texts))).toMatchObject({ code: 'UNKNOWN_TENANT' });
});

test('a mapped table lists tenants', async () => {
  await rowsIn(
    url,
    `create schema "My App"; create table "My App".customers ("No" int primary key, title text, "dbName" text);
     insert into "My App".customers values (2, 'Two', 'db two'), (10, 'Ten', 'db ten')`,
  );
  const mapped: Config = {
    ...config,
    tenants: { table: '"My App".customers', columns: { id: 'No', name: 'title', database: 'dbName' } },
  };
  expect((await tenantsOf({}, mapped)).map(({ id, database }) => [id, database])).toEqual([
    ['2', 'db two'],
    ['10', 'db ten'],
  ]);
  const wrong: Config = {
    ...config,
    tenants: { table: 'nowhere', columns: { id: 'a', name: 'b', database: 'c' } },
  };
  expect(await failure(tenantsOf({}, wrong))).toMatchObject({
    code: 'CENTRAL_INVALID',
    subject: 'tenants.table nowhere',
  });
});

test('a broken tenants.query names what it lacks', async () => {
  const of = (query: string) => failure(tenantsOf({}, { ...config, tenants: { query } }));
  const lacks = await of('select 1 as id, 2 as nom');
  expect(lacks).toMatchObject({ code: 'CENTRAL_INVALID', exit: 1 });
  expect(lacks.message).toBe('tenants.query does not return "name", "database"');
  expect((await of('selekt 1')).message).toContain('syntax error');
  expect((await of(`select null::int as id, 'x' as name, 'y' as database`)).message).toContain(
    '1 rows without an id',
  );
  expect((await of('delete from companies returning id, name')).code).toBe('CENTRAL_INVALID');
});

test("fleet 7: a row that cannot be used is that one tenant's problem, with a remedy", async () => {
  const query = `select * from (values (1, 'A', 'same', 'default'), (2, 'B', 'same', 'default'), (3, 'C', '', 'default'),
    (4, 'D', null, 'default'), (5, 'E', 'e', 'moon'), (6, 'F', '${new URL(url).pathname.slice(1)}', 'default'),
    (7, 'G', 'g1', 'default'), (7, 'G', 'g2', 'default'), (8, 'H', 'same', 'eu'), (9, 'I', 'template1', 'default'),
    (10, 'J', '${'x'.repeat(64)}', 'default'), (11, 'K', '${new URL(url).pathname.slice(1)}', 'eu'))
    v (id, name, database, server)`;
  const of: Config = { ...config, tenants: { query } };
  const list = await tenantsOf({}, of);
  const problems = list.map((tenant) => [tenant.id, tenantProblem(tenant, of)?.code]);
  expect(problems).toEqual([
    ['1', undefined],
    ['2', 'CENTRAL_INVALID'],
    ['3', 'DATABASE_NAME'],
    ['4', 'DATABASE_NAME'],
    ['5', 'UNKNOWN_SERVER'],
    ['6', 'WRONG_DATABASE'],
    ['7', 'CENTRAL_INVALID'],
    ['8', undefined],
    ['9', 'DATABASE_NAME'],
    ['10', 'DATABASE_NAME'],
    ['11', undefined],
  ]);
  for (const tenant of list) expect(tenantProblem(tenant, of)?.hint ?? 'none').toBeTruthy();
});
