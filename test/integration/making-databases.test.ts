import pg from 'pg';
import { expect, test } from 'vitest';
import { centralUp } from '../../src/central/schema/up.ts';
import type { Config } from '../../src/config/define.ts';
import { doctor } from '../../src/fleet/doctor/doctor.ts';
import { withConnection } from '../../src/postgres/connect.ts';
import { localeClause } from '../../src/postgres/database.ts';
import { drainPool, fillPool } from '../../src/tenants/create/pool.ts';
import { provision } from '../../src/tenants/create/provision.ts';
import { listTemplates } from '../../src/tenants/create/template.ts';
import { withServer } from '../../src/tenants/server.ts';
import { configOf, identified } from '../helpers/central.ts';
import { testServer, withDatabases } from '../helpers/database.ts';
import { folderOf, historyOf, rowsIn, withFolders } from '../helpers/engine.ts';
import { startServer } from '../helpers/server.ts';

const databases = withDatabases();
withFolders();

const CORE = { '1_a.sql': 'create table a (id int);', '2_b.sql': 'create table b (id int);' };

async function fleetOf(core: Record<string, string> = CORE): Promise<Config> {
  const { url } = await databases.create('central');
  const config = configOf(url);
  config.migrations = { ...config.migrations, core: await folderOf(core) };
  await centralUp(config);
  return config;
}

async function make(config: Config, label: string) {
  const report = await provision(config, { name: `${databases.prefix}${label}` });
  databases.adopt(report.tenant.database);
  return { ...report, url: testServer(report.tenant.database) };
}

async function templateOf(config: Config): Promise<{ name: string; oid: string }> {
  const [newest] = await withServer(config, 'default', async (server) =>
    listTemplates(server, await identified(config)),
  );
  const [row] = await databases.query<{ oid: string }>(
    `select oid from pg_database where datname = '${newest?.name}'`,
  );
  return { name: newest?.name ?? '', oid: row?.oid ?? '' };
}

async function clear(config: Config): Promise<void> {
  await drainPool(config);
  const templates = await withServer(config, 'default', async (server) =>
    listTemplates(server, await identified(config)),
  );
  for (const { name } of templates) databases.adopt(name);
}

async function warnings(config: Config): Promise<string[]> {
  const { findings } = await doctor(config);
  return findings.flatMap(({ level, message, remedy }) =>
    level === 'ok' || !/^(?:the server does not|unusable in the pool|databases\.template)/.test(message)
      ? []
      : [`${message} → ${remedy}`],
  );
}

/** What older servers have no columns for. */
async function isAtLeast(version: number): Promise<boolean> {
  const [row] = await databases.query<{ yes: boolean }>(
    `select current_setting('server_version_num')::int >= ${version}0000 as yes`,
  );
  return row?.yes === true;
}

/** As after an upgrade of the library that sorts. */
const UPGRADED = `datcollversion = '0'`;
/** As a DROP DATABASE leaves it that was interrupted. */
const INVALID = 'datconnlimit = -2';

test.each([
  [UPGRADED, 'its collation is of version 0, and the server has '],
  [INVALID, 'dropping it was interrupted'],
])('fleet 46: a template with %s is named by doctor, and built anew', async (state, why) => {
  if (state === UPGRADED && !(await isAtLeast(15))) return;
  const config = await fleetOf();
  await make(config, 'first');
  const before = await templateOf(config);
  expect(await warnings(config)).toEqual([]);
  await databases.query(`update pg_database set ${state} where datname = '${before.name}'`);
  const [warning] = await warnings(config);
  expect(warning).toContain(`the server does not copy the template ${before.name}: ${why}`);
  expect(warning).toContain('→ The next new tenant rebuilds it first.');

  const second = await make(config, 'second');
  expect(second).toMatchObject({ source: 'template', notices: [] });
  expect(await historyOf(second.url)).toEqual(['1_a applied', '2_b applied']);
  const after = await templateOf(config);
  expect(after.name).toBe(before.name);
  expect(after.oid).not.toBe(before.oid);
  expect(await warnings(config)).toEqual([]);
  await clear(config);
});

test('fleet 46: what the server does not copy for another reason is replayed past, with a notice', async () => {
  const config = await fleetOf();
  await make(config, 'first');
  const { name } = await templateOf(config);
  // Nothing in the catalog of the server says so, and CREATE DATABASE fails at it.
  const [{ held } = { held: '' }] = await databases.query<{ held: string }>(
    `select dattablespace as held from pg_database where datname = '${name}'`,
  );
  await databases.query(`update pg_database set dattablespace = 4 where datname = '${name}'`);
  try {
    const second = await make(config, 'second');
    expect(second).toMatchObject({ source: 'migrations', applied: [{ name: '1_a' }, { name: '2_b' }] });
    expect(second.notices.join()).toMatch(/^made without a template: can't create database ".*": /);
    expect(await fillPool(config, { size: 1 })).toMatchObject({
      ready: 1,
      notices: [expect.stringMatching(/^made without a template: /)],
    });
    expect(await make(config, 'third')).toMatchObject({ source: 'pool', head: '2_b' });
  } finally {
    await databases.query(`update pg_database set dattablespace = ${held} where datname = '${name}'`);
  }
  await clear(config);
});

test('fleet 46: databases of the pool that the server no longer takes are not handed out; fill makes others', async () => {
  if (!(await isAtLeast(15))) return;
  const config = await fleetOf();
  await fillPool(config, { size: 3 });
  const pooled = await databases.query<{ name: string }>(
    `select database_name as name from mpm_migrate.pool order by id`,
    new URL(config.central.url as string).pathname.slice(1),
  );
  const [upgraded = '', invalid = '', dropped = ''] = pooled.map(({ name }) => name);
  await databases.query(`update pg_database set ${UPGRADED} where datname = '${upgraded}'`);
  await databases.query(`update pg_database set ${INVALID} where datname = '${invalid}'`);
  await databases.query(`drop database "${dropped}"`);
  const [warning] = await warnings(config);
  expect(warning).toContain(`unusable in the pool: "${upgraded}", "${invalid}", "${dropped}"`);
  expect(warning).toContain('→ mpm-migrate tenant pool fill --size 3 --server default');

  for (const label of ['one', 'two']) {
    const made = await make(config, label);
    expect(made.source).toBe('template');
    expect(await historyOf(made.url)).toEqual(['1_a applied', '2_b applied']);
  }
  expect(await fillPool(config, { size: 1 })).toMatchObject({ dropped: 1, made: 1, ready: 1 });
  expect(await make(config, 'three')).toMatchObject({ source: 'pool' });
  expect(await warnings(config)).toEqual([]);
  await clear(config);
});

test('fleet 46: a session in template1 keeps nobody from making databases, which have the encoding and the locale of template1', async () => {
  await using server = await startServer();
  const of = (database: string): string => server.url.replace(/\/postgres$/, `/${database}`);
  await rowsIn(server.url, 'alter database template1 is_template false');
  await rowsIn(server.url, 'drop database template1');
  await rowsIn(
    server.url,
    `create database template1 template template0 encoding 'LATIN1' lc_collate 'C' lc_ctype 'C' is_template true`,
  );
  const stranger = new pg.Client(of('template1'));
  await stranger.connect();
  try {
    const config = configOf(of('central'));
    config.migrations = { ...config.migrations, core: await folderOf(CORE) };
    await centralUp(config);
    expect(await provision(config, { name: 'first' })).toMatchObject({ source: 'template' });
    expect(await provision({ ...config, templates: false }, { name: 'second' })).toMatchObject({
      source: 'migrations',
    });
    expect(
      await rowsIn(
        server.url,
        `select distinct pg_encoding_to_char(encoding) as encoding, datcollate as locale from pg_database where datname in ('central', 'first', 'second')`,
      ),
    ).toEqual([{ encoding: 'LATIN1', locale: 'C' }]);
  } finally {
    await stranger.end();
  }
});

test('fleet 46: databases.template names what new ones are copies of; doctor looks whether it is there', async () => {
  const config = await fleetOf();
  await make(config, 'plain');
  const base = await databases.create('base');
  await rowsIn(base.url, 'create table of_the_operator ()');
  config.databases = { ...config.databases, template: base.name };
  // The template of before lacks what is in it.
  for (const [templates, source] of [
    [true, 'template'],
    [false, 'migrations'],
  ] as const) {
    const made = await make({ ...config, templates }, source);
    expect(made.source).toBe(source);
    expect(await rowsIn(made.url, `select to_regclass('of_the_operator') is not null as there`)).toEqual([
      { there: true },
    ]);
  }
  expect(await warnings(config)).toEqual([]);
  await clear(config);
  config.databases = { ...config.databases, template: 'nowhere' };
  expect(await warnings(config)).toEqual([
    'databases.template: "nowhere" doesn\'t exist → New databases are copies of it: create it, or remove databases.template from the configuration.',
  ]);
});

test.each([
  ['libc', `encoding 'SQL_ASCII' locale 'C' locale_provider libc`],
  ['ICU', `encoding 'UTF8' locale 'C' locale_provider icu icu_locale 'de-DE' icu_rules '& a < b'`],
  ['the builtin provider', `encoding 'UTF8' locale 'C' locale_provider builtin builtin_locale 'C.UTF-8'`],
])('fleet 46: an encoding and a locale of %s are carried over', async (_, how) => {
  if (!(await isAtLeast(17))) return;
  const locale = async (name: string): Promise<unknown> =>
    databases.query(
      `select encoding, datcollate, datctype, datlocprovider, datlocale, daticurules from pg_database where datname = '${name}'`,
    );
  const [one, two] = [
    databases.adopt(`${databases.prefix}locale`),
    databases.adopt(`${databases.prefix}like_it`),
  ];
  await databases.query(`create database "${one.name}" template template0 ${how}`);
  const clause = await withConnection(
    { url: testServer(), applicationName: 'test-helper', connectTimeout: 5000 },
    (connection) => localeClause(connection, one.name),
  );
  await databases.query(`create database "${two.name}" template template0${clause}`);
  expect(await locale(two.name)).toEqual(await locale(one.name));
  await one.drop();
  await two.drop();
});
