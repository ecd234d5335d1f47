import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Config } from '../../src/config/define.ts';
import { centralUp } from '../../src/central/schema/up.ts';
import type { MpmError } from '../../src/errors.ts';
import { doctor } from '../../src/fleet/doctor/doctor.ts';
import { up } from '../../src/fleet/verbs/up.ts';
import { connect } from '../../src/postgres/connect.ts';
import { adopt } from '../../src/tenants/adopt.ts';
import { hold, label, release, rename } from '../../src/tenants/change.ts';
import { clone } from '../../src/tenants/clone.ts';
import { drop } from '../../src/tenants/drop.ts';
import { move } from '../../src/tenants/move/move.ts';
import { drainPool } from '../../src/tenants/create/pool.ts';
import { provision, resumeProvision } from '../../src/tenants/create/provision.ts';
import { configOf } from '../helpers/central.ts';
import { testServer, withDatabases } from '../helpers/database.ts';
import { folderOf, rowsIn, withFolders } from '../helpers/engine.ts';
import { startProxy } from '../helpers/proxy.ts';

const databases = withDatabases();
withFolders();

async function fleetOf(): Promise<{ config: Config; url: string }> {
  const { url } = await databases.create('central');
  const config = configOf(url, { templates: false });
  config.migrations = {
    ...config.migrations,
    core: await folderOf({ '1_a.sql': 'create table a (id int);' }),
  };
  await centralUp(config);
  return { config, url };
}

async function make(config: Config, label: string): Promise<{ id: string; name: string; database: string }> {
  const { tenant } = await provision(config, { name: `${databases.prefix}${label}` });
  databases.adopt(tenant.database);
  return tenant;
}

async function failure(work: Promise<unknown>): Promise<MpmError> {
  return work.then(
    () => Promise.reject(new Error('it did not fail')),
    (error: unknown) => error as MpmError,
  );
}

const exists = async (database: string) =>
  (await databases.query(`select from pg_database where datname = '${database}'`)).length === 1;

const visit = (database: string) =>
  connect({ url: testServer(database), applicationName: 'an app', connectTimeout: 5000 });

test('fleet 16: hold, release, rename and label change the row, and nothing else', async () => {
  const { config } = await fleetOf();
  const { id, name, database } = await make(config, 'changed');
  expect(await hold(config, id, { reason: 'unpaid' })).toMatchObject({
    done: 'held',
    tenant: { status: 'hold', reason: 'unpaid' },
  });
  const report = await up(config, { all: true });
  expect(report.counts).toMatchObject({ skipped: 1 });
  expect((await release(config, name)).tenant).toMatchObject({ status: 'active' });
  expect(await failure(release(config, id))).toMatchObject({
    code: 'TENANT_STATUS',
    message: `${name} (${id}) is not on hold`,
  });
  const renamed = await rename(config, id, `${name} Holding`);
  expect(renamed.tenant).toMatchObject({ id, name: `${name} Holding`, database });
  const other = await make(config, 'other');
  expect(await failure(rename(config, other.id, `${name} Holding`))).toMatchObject({ code: 'TENANT_EXISTS' });
  await label(config, id, { tier: 'gold', beta: 'yes' });
  expect((await label(config, id, { beta: null, size: "l'arge" })).tenant.labels).toEqual({
    tier: 'gold',
    size: "l'arge",
  });
});

test('fleet 16: drop needs the name, refuses while others are connected, and takes all of it', async () => {
  const { config, url } = await fleetOf();
  const { id, name, database } = await make(config, 'dropped');
  expect(await failure(drop(config, id, { confirm: 'no' }))).toMatchObject({ code: 'CONFIRMATION' });
  const visitor = await visit(database);
  const refused = await failure(drop(config, id, { confirm: name }));
  expect(refused).toMatchObject({ code: 'DATABASE_IN_USE', exit: 5 });
  expect(refused.message).toContain('"an app"');
  // A row of the product's own that needs the company: nothing is dropped.
  await rowsIn(
    url,
    'create table invoices (company bigint references companies (id)); insert into invoices values (1)',
  );
  expect(await failure(drop(config, id, { confirm: name, disconnect: true }))).toMatchObject({
    code: 'CENTRAL_INVALID',
  });
  expect(await rowsIn(url, 'select status, reason from company_databases')).toEqual([
    { status: 'active', reason: null },
  ]);
  expect(await exists(database)).toBe(true);
  await rowsIn(url, 'delete from invoices');
  expect(await drop(config, id, { confirm: name, disconnect: true })).toMatchObject({ done: 'dropped' });
  await visitor.close();
  expect(await exists(database)).toBe(false);
  expect(await rowsIn(url, 'select from companies')).toEqual([]);
});

test('a drop that is cut off leaves the row with its remedy, and is ended by dropping again', async () => {
  const { config, url } = await fleetOf();
  const { id, name, database } = await make(config, 'cut');
  // The wire to the tenant's server is cut while the database is being dropped.
  const proxy = await startProxy(testServer('postgres'));
  config.servers['default'] = { name: 'default', url: proxy.through(testServer('postgres')) };
  const central = await connect({ url, applicationName: 'test-helper', connectTimeout: 5000 });
  await central.query('begin; lock table public.companies in share mode');
  const dropping = drop(config, id, { confirm: name }).catch((error: unknown) => error);
  for (;;) {
    const [row] = await rowsIn<{ status: string }>(url, 'select status from company_databases');
    if (row?.status === 'hold') break;
  }
  proxy.cutAll();
  await central.query('commit');
  await dropping;
  await central.close();
  await proxy.stop();
  const [left] = await rowsIn<{ status: string; reason: string }>(
    url,
    'select status, reason from company_databases',
  );
  expect(left).toMatchObject({ status: 'hold' });
  expect(left?.reason).toContain(`mpm-migrate tenant drop ${id}`);
  const direct = { ...config, servers: configOf(url).servers };
  expect(await drop(direct, id, { confirm: name })).toMatchObject({ done: 'dropped' });
  expect(await exists(database)).toBe(false);
});

test('fleet 16: adopt registers a database once, and names baseline; never the central one', async () => {
  const { config, url } = await fleetOf();
  const there = await databases.create('adopted');
  await rowsIn(there.url, 'create table old ()');
  const name = `${databases.prefix}Adopted`;
  const { tenant, notices } = await adopt(config, { name, database: there.name, labels: { tier: 'old' } });
  expect(tenant).toMatchObject({ name, database: there.name, status: 'active', labels: { tier: 'old' } });
  expect(notices.join()).toContain(`baseline --tenant ${tenant.id}`);
  const again = { name, database: there.name };
  expect(await failure(adopt(config, again))).toMatchObject({ code: 'DATABASE_EXISTS' });
  const central = new URL(url).pathname.slice(1);
  expect(await failure(adopt(config, { ...again, database: central }))).toMatchObject({
    code: 'DATABASE_NAME',
  });
  const nothing = { ...again, database: `${databases.prefix}nothing` };
  expect(await failure(adopt(config, nothing))).toMatchObject({ code: 'DATABASE_MISSING' });
  expect(await rowsIn(url, 'select from companies')).toHaveLength(1);
  // As with `create`: who says which database is meant may give a name twice.
  const other = await databases.create('adopted_too');
  expect(await adopt(config, { name, database: other.name })).toMatchObject({
    tenant: { name, database: other.name },
  });
});

test('fleet 54: a copy does not carry over the head stamp of its original', async () => {
  const { config } = await fleetOf();
  const { id, database } = await make(config, 'stamped');
  const commentOf = async (name: string) =>
    (
      await rowsIn<{ comment: string | null }>(
        testServer(name),
        "select shobj_description(oid, 'pg_database') as comment from pg_database where datname = current_database()",
      )
    )[0]?.comment;
  const stamp = await commentOf(database);
  // As it was read before a down, and the copy made after it.
  const ahead = `Ours [mpm-migrate:2:9:${'0'.repeat(64)}]`;
  await rowsIn(testServer(database), `comment on database "${database}" is '${ahead}'`);
  const { tenant } = await clone(config, id, { name: `${databases.prefix}Stampless` });
  databases.adopt(tenant.database);
  expect(await commentOf(tenant.database)).toBe('Ours');
  expect((await up(config, { tenants: [tenant.id] }, { fast: true })).counts).toMatchObject({ current: 1 });
  expect(await commentOf(tenant.database)).toBe(`Ours ${stamp}`);
});

test('fleet 16: clone copies data and history, and refuses while others are connected', async () => {
  const { config, url } = await fleetOf();
  const { id, database } = await make(config, 'original');
  await rowsIn(testServer(database), 'insert into a values (42)');
  await label(config, id, { tier: 'gold' });
  const visitor = await visit(database);
  const input = { name: `${databases.prefix}Copy` };
  expect(await failure(clone(config, id, input))).toMatchObject({ code: 'DATABASE_IN_USE', exit: 5 });
  expect(await rowsIn(url, 'select from companies')).toHaveLength(1);
  const report = await clone({ ...config, templates: true }, id, { ...input, disconnect: true });
  databases.adopt(report.tenant.database);
  await visitor.close();
  expect(report).toMatchObject({ source: 'tenant', notices: [], tenant: { status: 'active' } });
  expect(await rowsIn(testServer(report.tenant.database), 'select id from a')).toEqual([{ id: 42 }]);
  expect(await rowsIn(url, 'select labels from company_databases')).toEqual([
    { labels: { tier: 'gold' } },
    { labels: { tier: 'gold' } },
  ]);
  expect((await up(config, { all: true })).counts).toMatchObject({ current: 2 });
  // Of a copy that was cut off nobody knows of what it was one: it is not made a new tenant.
  await rowsIn(
    url,
    `update company_databases set status = 'provisioning', building_as = 'mpm_copy_x' where company_id = ${report.tenant.id}`,
  );
  const cut = await failure(resumeProvision(config, report.tenant.id));
  expect(cut).toMatchObject({ code: 'TENANT_STATUS' });
  expect(cut.hint).toContain(`tenant drop ${report.tenant.id}`);
});

test("fleet 16: move changes the row only when the database there has the tenant's own history", async () => {
  const { config, url } = await fleetOf();
  const { id, database } = await make(config, 'moving');
  const other = await make(config, 'stranger');
  config.servers['eu'] = { name: 'eu', url: testServer('postgres') };
  const copy = await databases.clone(database, 'moved');
  await hold(config, id, { reason: 'moving' });
  expect(await failure(move(config, id, { server: 'us' }))).toMatchObject({ code: 'UNKNOWN_SERVER' });
  expect(await failure(move(config, id, { server: 'eu', database: 'nowhere' }))).toMatchObject({
    code: 'DATABASE_MISSING',
    hint: expect.stringContaining('pg_dump') as string,
  });
  const strange = await databases.clone(other.database, 'strange');
  await rowsIn(strange.url, 'update mpm_migrate.history set started_at = now()');
  expect(await failure(move(config, id, { server: 'eu', database: strange.name }))).toMatchObject({
    code: 'WRONG_DATABASE',
  });
  expect((await move(config, id, { server: 'eu', database: copy.name })).tenant).toMatchObject({
    server: 'eu',
    database: copy.name,
  });
  expect(await rowsIn(url, `select server from company_databases where company_id = ${id}`)).toEqual([
    { server: 'eu' },
  ]);
});

test('fleet 20: an aborted signal lets no change of a tenant begin', async () => {
  const { config, url } = await fleetOf();
  const { id, name, database } = await make(config, 'untouched');
  const signal = AbortSignal.abort();
  const before = await rowsIn(url, 'select * from companies, company_databases');
  const calls = [
    hold(config, id, { reason: 'x', signal }),
    release(config, id, { signal }),
    rename(config, id, 'Other', { signal }),
    label(config, id, { a: 'b' }, { signal }),
    move(config, id, { server: 'default', database: 'x', signal }),
    drop(config, id, { confirm: name, signal }),
    adopt(config, { name: 'New', database }, { signal }),
    drainPool(config, {}, { signal }),
    doctor(config, { signal }),
  ];
  for (const call of calls) expect(await failure(call)).toMatchObject({ code: 'INTERRUPTED' });
  expect(await rowsIn(url, 'select * from companies, company_databases')).toEqual(before);
  expect(await exists(database)).toBe(true);
});

test("fleet 25: doctor does not call another product's databases ours", async () => {
  const { config } = await fleetOf();
  const theirs = await fleetOf();
  theirs.config.migrations.core = await folderOf({ '20260101_crm.sql': 'create table crm (id int);' });
  const { database } = await make(theirs.config, 'crm');
  const { findings } = await doctor(config);
  expect(findings.flatMap(({ names = [] }) => names)).not.toContain(database);
  expect(
    (await doctor({ ...config, migrations: theirs.config.migrations })).findings.flatMap(
      ({ names = [] }) => names,
    ),
  ).toContain(database);
});

test('fleet 25: doctor finds what is wrong, and says what to do', async () => {
  const { config, url } = await fleetOf();
  const sound = await doctor(config);
  expect(sound).toMatchObject({ errors: 0 });
  expect(sound.findings.map(({ about }) => about)).toContain('server default');

  const gone = await make(config, 'gone');
  await databases.query(`drop database "${gone.database}"`);
  const orphan = await make(config, 'orphan');
  await rowsIn(
    url,
    `delete from company_databases where company_id = ${orphan.id}; delete from companies where id = ${orphan.id}`,
  );
  await rowsIn(
    url,
    `insert into companies (name) values ('Half'); insert into company_databases (company_id, database_name, status, reason, building_as) select max(id), '${databases.prefix}half', 'failed', 'no room', 'mpm_new_x' from companies`,
  );
  config.servers['dead'] = { name: 'dead', url: 'postgres://127.0.0.1:1/postgres' };
  config.migrations.core = join(config.root, 'nowhere');
  const { findings, errors } = await doctor(config);
  const wrong = findings.filter(({ level }) => level !== 'ok');
  for (const { remedy } of wrong) expect(remedy).toBeTruthy();
  const said = wrong
    .map(({ about, level, message, remedy }) => `${about} ${level} ${message} ${remedy}`)
    .join('\n');
  expect(said).toContain(
    `server default error the database "${gone.database}" of ${gone.name} (${gone.id}) doesn't exist`,
  );
  const orphans = findings.flatMap(({ message, names = [] }) =>
    message.startsWith('with a history') ? names : [],
  );
  expect(orphans).toContain(orphan.database);
  expect(orphans.filter((name) => name.endsWith('central'))).toEqual([]);
  expect(said).toContain('tenant adopt NAME --database');
  expect(said).toMatch(/tenants warning Half \(\d+\) is failed: no room .*--resume/);
  expect(said).toMatch(/server dead error can't connect/);
  expect(said).toMatch(/files error There is no folder/);
  expect(errors).toBe(3);
});

test('fleet 25: doctor finds databases of creations that nobody knows, and counts what it does not list', async () => {
  const { config, url } = await fleetOf();
  const name = (nr: number) => `mpm_new_${randomBytes(11).toString('hex')}${nr}${nr}`;
  const [left, known, pooled] = [name(1), name(2), name(3)] as const;
  for (const each of [left, known, pooled]) {
    await databases.query(`create database ${each}`);
    databases.adopt(each);
  }
  await rowsIn(
    url,
    `with c as (insert into companies (name) select 'Half ' || n from generate_series(1, 7) n returning id, name)
insert into company_databases (company_id, database_name, status, building_as)
select id, '${databases.prefix}' || id, 'provisioning', case name when 'Half 1' then '${known}' end from c;
insert into mpm_migrate.pool (server, database_name, blueprint) values ('default', '${pooled}', 'x')`,
  );
  const wrong = (await doctor(config)).findings.filter(({ level }) => level !== 'ok');
  const abandoned = wrong.find(({ message }) => message.startsWith('of creations'));
  expect(abandoned).toMatchObject({ about: 'server default', level: 'warning' });
  expect(abandoned?.remedy).toMatch(/drop database "mpm_new_[0-9a-f]{24}";/);
  expect(abandoned?.names).toContain(left);
  for (const each of [known, pooled]) expect(abandoned?.names).not.toContain(each);
  const unfinished = wrong.filter(({ about }) => about === 'tenants');
  expect(unfinished).toHaveLength(6);
  expect(unfinished.at(-1)).toMatchObject({
    message: "the creation of 2 more isn't finished",
    names: ['6', '7'],
  });

  await rowsIn(url, "update company_databases set server = 'mars', status = 'active'");
  const rows = (await doctor(config)).findings.filter(({ about }) => about === 'tenants');
  expect(rows.map(({ level }) => level)).toEqual(rows.map(() => 'error'));
  expect(rows[0]?.message).toContain('is on server "mars", which is not configured');
  expect(rows[0]?.remedy).toContain('"servers" in the configuration');
  expect(rows.slice(5)).toMatchObject([{ message: '2 more rows like that', names: ['6', '7'] }]);
});
