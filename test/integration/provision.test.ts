import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { Config } from '../../src/config/define.ts';
import { centralUp } from '../../src/central/schema/up.ts';
import type { MpmError } from '../../src/errors.ts';
import { provision, resumeProvision } from '../../src/tenants/create/provision.ts';
import { configOf } from '../helpers/central.ts';
import { testServer, withDatabases } from '../helpers/database.ts';
import { folderOf, historyOf, rowsIn, withFolders } from '../helpers/engine.ts';

const databases = withDatabases();
withFolders();

const CORE = {
  '1_meters.sql': 'create table meters (id int primary key);',
  '2_note.sql': '-- migrate:up\nalter table meters add note text;\nselect pg_sleep(0.05);',
};

async function fleetOf(
  files: Record<string, string> = CORE,
): Promise<{ config: Config; url: string; core: string }> {
  const { url } = await databases.create('central');
  const core = await folderOf(files);
  const config = configOf(url);
  config.migrations = { ...config.migrations, core };
  await centralUp(config);
  return { config, url, core };
}

async function failure(work: Promise<unknown>): Promise<MpmError> {
  return work.then(
    () => Promise.reject(new Error('it did not fail')),
    (error: unknown) => error as MpmError,
  );
}

function rowsOf(url: string) {
  return rowsIn<{
    id: string;
    name: string;
    database: string;
    status: string;
    reason: string | null;
    step: string | null;
  }>(
    url,
    `select c.id::text, c.name, d.database_name as database, d.status, d.reason, d.provision_step as step
from companies c left join company_databases d on d.company_id = c.id order by c.id`,
  );
}

/** Databases that a creation left under its own unguessable name. */
async function unnamed(url: string): Promise<unknown[]> {
  const made = await rowsIn<{ name: string }>(
    url,
    'select building_as as name from company_databases where building_as is not null',
  );
  return databases.query(
    `select datname from pg_database where datname in (${made.map(({ name }) => `'${name}'`).join(', ') || 'null'})`,
  );
}

const named = (label: string) => `${databases.prefix}${label}`;

test('fleet 13: a company gets a row, a database and the core migrations', async () => {
  const { config, url } = await fleetOf();
  const name = named('Acme Ltd');
  const report = await provision(config, { name, labels: { tier: 'gold' } });
  const database = `${databases.prefix}acme_ltd`;
  databases.adopt(database);
  expect(report).toMatchObject({
    tenant: { id: '1', name, database, server: 'default', status: 'active' },
    created: true,
    resumed: false,
    head: '2_note',
  });
  expect(await historyOf(testServer(database))).toEqual(['1_meters applied', '2_note applied']);
  expect(await rowsOf(url)).toEqual([
    { id: '1', name, database, status: 'active', reason: null, step: null },
  ]);
  expect(await rowsIn(url, 'select labels, building_as from company_databases')).toEqual([
    { labels: { tier: 'gold' }, building_as: null },
  ]);
  const again = await failure(provision(config, { name }));
  expect(again).toMatchObject({ code: 'TENANT_EXISTS' });
  expect(await failure(resumeProvision(config, '1'))).toMatchObject({ code: 'TENANT_STATUS' });
  for (const id of ['99', 'acme', '99999999999999999999', '1 or true'])
    expect(await failure(resumeProvision(config, id))).toMatchObject({ code: 'UNKNOWN_TENANT', subject: id });
});

test('fleet 14: a name given with --database is used exactly, and an id given is not counted again', async () => {
  const { config } = await fleetOf();
  for (const [at, label] of ['Mixed Case', 'qu"ote.dot', "it's", '🔋'].entries()) {
    const database = named(label);
    databases.adopt(database);
    const report = await provision(config, { name: label, database, ...(at === 1 ? { id: '40' } : {}) });
    expect(report.tenant).toMatchObject({ database, id: ['1', '40', '41', '42'][at] });
    expect(await historyOf(testServer(database))).toHaveLength(2);
  }
  expect(await failure(provision(config, { name: 'x', id: '40' }))).toMatchObject({ code: 'TENANT_EXISTS' });
  expect(await failure(provision(config, { name: 'x', id: 'forty' }))).toMatchObject({ code: 'USAGE' });
});

test('bad input is refused before anything is made', async () => {
  const { config, url } = await fleetOf();
  const central = new URL(url).pathname.slice(1);
  const there = await databases.create('there');
  for (const [input, code] of [
    [{ name: '' }, 'USAGE'],
    [{ name: 'x', database: 'a'.repeat(64) }, 'DATABASE_NAME'],
    [{ name: 'x', database: '' }, 'DATABASE_NAME'],
    [{ name: 'x', database: 'postgres' }, 'DATABASE_NAME'],
    [{ name: 'x', database: central }, 'DATABASE_NAME'],
    [{ name: 'x', database: there.name }, 'DATABASE_EXISTS'],
    [{ name: 'x', server: 'moon' }, 'UNKNOWN_SERVER'],
  ] as const) {
    expect(await failure(provision(config, input))).toMatchObject({ code });
  }
  const mapped = { ...config, tenants: { query: 'select 1 as id' } };
  expect(await failure(provision(mapped, { name: 'x' }))).toMatchObject({ code: 'USAGE' });
  expect(await rowsOf(url)).toEqual([]);
});

test('fleet 13: a failing migration undoes everything and shows where', async () => {
  const { config, url } = await fleetOf({ ...CORE, '3_bad.sql': 'create table x (\n  id nothing);' });
  const error = await failure(provision(config, { name: named('Bad') }));
  expect(error).toMatchObject({ code: 'PROVISION_FAILED', exit: 1, excerpt: { line: 2 } });
  expect(error.aftermath).toContain('nothing is left of it');
  expect(await rowsOf(url)).toEqual([]);
  expect(await databases.query(`select from pg_database where datname = '${named('bad')}'`)).toEqual([]);
});

test('fleet 13: a server that lets nobody create databases leaves nothing, and is named', async () => {
  const { config, url } = await fleetOf();
  const role = named('weak');
  await databases.query(`create role "${role}" login password 'weak'`);
  try {
    const server = new URL(testServer('postgres'));
    server.username = role;
    server.password = 'weak';
    config.servers['weak'] = { name: 'weak', url: server.href };
    const error = await failure(provision(config, { name: named('Weak'), server: 'weak' }));
    expect(error).toMatchObject({ code: 'PROVISION_FAILED', database: { code: '42501' } });
    expect(error.aftermath).toContain('nothing is left of it');
    expect(await rowsOf(url)).toEqual([]);
  } finally {
    await databases.query(`drop role "${role}"`);
  }
});

test('a half-made creation is resumed, one that another process is at is left alone', async () => {
  const { config, url } = await fleetOf();
  const database = named('half');
  databases.adopt(database);
  await rowsIn(
    url,
    `insert into companies (name) values ('Half');
     insert into company_databases (company_id, database_name, status, provision_step, building_as)
     values (1, '${database}', 'provisioning', 'database', '${named('new')}')`,
  );
  const [report, other] = await Promise.allSettled([
    resumeProvision(config, '1'),
    resumeProvision(config, '1'),
  ]);
  const ended = [report, other].map((each) =>
    each.status === 'fulfilled' ? 'done' : (each.reason as MpmError).code,
  );
  expect(ended.sort()).toSatisfy(
    (codes: string[]) =>
      codes.includes('done') && codes.every((code) => /done|BUSY|TENANT_STATUS/.test(code)),
  );
  expect((await rowsOf(url))[0]).toMatchObject({ status: 'active' });
  expect(await historyOf(testServer(database))).toHaveLength(2);
});

test('a database that somebody else made under the name is never taken or dropped', async () => {
  const { config, url } = await fleetOf();
  const theirs = await databases.create('theirs');
  await rowsIn(theirs.url, 'create table precious ()');
  await rowsIn(
    url,
    `insert into companies (name) values ('Theirs');
     insert into company_databases (company_id, database_name, status, provision_step, building_as)
     values (1, '${theirs.name}', 'provisioning', 'database', '${named('new2')}')`,
  );
  expect(await failure(resumeProvision(config, '1'))).toMatchObject({ code: 'DATABASE_EXISTS' });
  expect((await rowsOf(url))[0]).toMatchObject({ status: 'failed', step: 'database' });
  expect(await rowsIn(theirs.url, `select to_regclass('precious') is not null as there`)).toEqual([
    { there: true },
  ]);
});

test('fleet 14: a name that another tenant has is not chosen, though there is no such database', async () => {
  const { config, url } = await fleetOf();
  const slug = named('gone');
  for (let number = 1; number <= 7; number += 1) {
    const database = number === 1 ? slug : `${slug}_${number}`;
    await rowsIn(
      url,
      `with c as (insert into companies (name) values ('Other ${number}') returning id)
insert into company_databases (company_id, database_name, server) select id, '${database}', 'default' from c`,
    );
  }
  const { tenant } = await provision(config, { name: slug });
  expect(databases.adopt(tenant.database).name).toBe(`${slug}_8`);
  await expect(provision(config, { name: 'Mine', database: `${slug}_7` })).rejects.toMatchObject({
    code: 'DATABASE_EXISTS',
    message: `another tenant has the database "${slug}_7" of server "default"`,
  });
  expect((await rowsOf(url)).map(({ name }) => name)).not.toContain('Mine');
});

test('fleet 14: twenty at once with one name make one tenant; with names of one slug, twenty databases', async () => {
  const { config, url } = await fleetOf();
  const same = await Promise.allSettled(
    Array.from({ length: 20 }, () => provision(config, { name: named('Same') })),
  );
  databases.adopt(named('same'));
  expect(same.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  for (const each of same)
    if (each.status === 'rejected') expect((each.reason as MpmError).code).toBe('TENANT_EXISTS');
  const alike = await Promise.all(
    Array.from({ length: 20 }, (_, at) => provision(config, { name: named(`Alike${'!'.repeat(at)}`) })),
  );
  for (const { tenant } of alike) databases.adopt(tenant.database);
  expect(new Set(alike.map(({ tenant }) => tenant.database)).size).toBe(20);
  const rows = await rowsOf(url);
  expect(rows).toHaveLength(21);
  expect(rows.every(({ status }) => status === 'active')).toBe(true);
});

/** The killed one's backend may still be in CREATE DATABASE, and then holds the lock. */
async function resumed(config: Config, id: string): Promise<void> {
  for (let tries = 0; ; tries += 1) {
    try {
      await resumeProvision(config, id);
      return;
    } catch (error) {
      if (tries > 20) throw error;
      await sleep(200);
    }
  }
}

test('fleet 13: when the connections give out, nothing is left or a row with its remedy', async () => {
  const { config, url } = await fleetOf();
  const role = named('few');
  await databases.query(`create role "${role}" login createdb connection limit 2 password 'few'`);
  try {
    const server = new URL(testServer('postgres'));
    server.username = role;
    server.password = 'few';
    config.servers['few'] = { name: 'few', url: server.href };
    config.templates = false;
    const ended = await Promise.allSettled(
      Array.from({ length: 8 }, (_, at) => provision(config, { name: named(`few ${at}`), server: 'few' })),
    );
    const made = ended.filter(({ status }) => status === 'fulfilled').length;
    expect(made).toBeLessThan(8);
    const hints = ended.map((each) => (each.status === 'rejected' ? (each.reason as MpmError).hint : ''));
    expect(hints.join('\n')).toContain('or raise max_connections, or the limit of the role');
    const rows = await rowsOf(url);
    const there = await databases.query<{ name: string }>(
      `select datname::text as name from pg_database where datname like '${databases.prefix}few%'`,
    );
    for (const { name } of there) {
      databases.adopt(name);
      // No database without a row.
      expect(rows.map(({ database }) => database)).toContain(name);
    }
    expect(rows.filter(({ status }) => status === 'active')).toHaveLength(made);
    for (const row of rows) {
      if (row.status === 'active') continue;
      expect(row.reason).toBeTruthy();
      await resumed(config, row.id);
    }
    expect((await rowsOf(url)).every(({ status }) => status === 'active')).toBe(true);
    expect(await unnamed(url)).toEqual([]);
    for (const { database } of await rowsOf(url)) {
      databases.adopt(database);
      await databases.query(`alter database "${database}" owner to current_user`);
      await databases.query(`reassign owned by "${role}" to current_user`, database);
      await databases.query(`drop owned by "${role}"`, database);
    }
  } finally {
    await databases.query(`drop role "${role}"`);
  }
}, 60_000);
