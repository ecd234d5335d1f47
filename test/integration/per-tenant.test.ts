import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { centralUp } from '../../src/central/schema/up.ts';
import type { Config } from '../../src/config/define.ts';
import { doctor } from '../../src/fleet/doctor/doctor.ts';
import { drainPool, fillPool, poolStatus } from '../../src/tenants/create/pool.ts';
import { provision } from '../../src/tenants/create/provision.ts';
import { listTemplates } from '../../src/tenants/create/template.ts';
import { withServer } from '../../src/tenants/server.ts';
import { catalogOf } from '../helpers/catalog.ts';
import { configOf, identified } from '../helpers/central.ts';
import { testServer, withDatabases } from '../helpers/database.ts';
import { folderOf, rowsIn, withFolders } from '../helpers/engine.ts';

const databases = withDatabases();
withFolders();

const SECRET = `insert into settings values ('jwt_secret', md5(random()::text)), ('me', current_database());`;

const CORE = {
  '1_settings.sql': 'create table settings (key text, value text);',
  '2_keys.sql': SECRET,
  '3_meters.sql': 'create table meters (id int);',
};

const SEEDS = { 'meters.sql': 'insert into meters values (7);' };

async function fleetOf(core: Record<string, string>, seeds: Record<string, string> = SEEDS): Promise<Config> {
  const { url } = await databases.create('central');
  const config = configOf(url);
  config.migrations = { ...config.migrations, core: await folderOf(core), seeds: await folderOf(seeds) };
  await centralUp(config);
  return config;
}

async function make(config: Config, label: string) {
  const report = await provision(config, { name: `${databases.prefix}${label}` });
  databases.adopt(report.tenant.database);
  return { ...report, url: testServer(report.tenant.database) };
}

async function settingsOf(made: readonly { url: string }[]): Promise<{ secrets: number; own: boolean }> {
  const values = await Promise.all(
    made.map(async ({ url }) => {
      const rows = await rowsIn<{ key: string; value: string }>(url, 'select key, value from settings');
      return new Map(rows.map(({ key, value }) => [key, value]));
    }),
  );
  const own = made.every(({ url }, at) => url.endsWith(`/${values[at]?.get('me')}`));
  return { secrets: new Set(values.map((settings) => settings.get('jwt_secret'))).size, own };
}

async function clear(config: Config): Promise<void> {
  await drainPool(config);
  const templates = await withServer(config, 'default', async (server) =>
    listTemplates(server, await identified(config)),
  );
  for (const { name } of templates) databases.adopt(name);
}

async function warningOf(config: Config) {
  const { findings } = await doctor(config);
  return findings.find(({ about, level }) => about === 'files' && level === 'warning');
}

test('fleet 45: what a template makes the same for all is named when it is built, and by doctor; the remedy mends it', async () => {
  const config = await fleetOf(CORE);
  const alike = [await make(config, 'one'), await make(config, 'two')];
  expect(await settingsOf(alike)).toEqual({ secrets: 1, own: false });
  const said =
    'new tenants are copies, and have the same values of 2_keys.sql (random(), current_database())';
  const remedy = `templates: { except: ['2_keys'] }`;
  expect(alike.map(({ notices }) => notices)).toEqual([
    [expect.stringContaining(said)],
    [expect.stringContaining(said)],
  ]);
  expect(alike[0]?.notices[0]).toContain(remedy);
  expect(await warningOf(config)).toMatchObject({
    message: said,
    remedy: expect.stringContaining(remedy),
    names: ['2_keys.sql'],
  });
  // Where there is no template, each has its own.
  expect(await warningOf({ ...config, templates: false })).toBeUndefined();

  config.perTenant = ['2_keys'];
  const own = [await make(config, 'three'), await make(config, 'four'), await make(config, 'five')];
  expect(await settingsOf(own)).toEqual({ secrets: 3, own: true });
  for (const { source, applied, notices, head } of own) {
    expect({ source, applied: applied.map(({ name }) => name), notices, head }).toEqual({
      source: 'template',
      applied: ['2_keys', '3_meters'],
      notices: [],
      head: '3_meters',
    });
  }
  expect(await warningOf(config)).toBeUndefined();
  await clear(config);
});

test('fleet 45: -- mpm:per-tenant makes new tenants, from the template and from the pool, replay from there', async () => {
  const config = await fleetOf({ ...CORE, '2_keys.sql': `-- mpm:per-tenant\n${SECRET}` });
  expect(await fillPool(config, { size: 2 })).toMatchObject({ made: 2, ready: 2, notices: [] });
  const made = [await make(config, 'one'), await make(config, 'two'), await make(config, 'three')];
  expect(made.map(({ source }) => source)).toEqual(['pool', 'pool', 'template']);
  expect(await settingsOf(made)).toEqual({ secrets: 3, own: true });

  const replayed = await make({ ...config, templates: false }, 'replayed');
  const catalog = await catalogOf(replayed.url);
  expect(catalog.join('\n')).toMatch(/comment of the database \[mpm-migrate:2:3:/);
  for (const { url, notices } of made) {
    expect(notices).toEqual([]);
    expect(await catalogOf(url)).toEqual(catalog);
    expect(await rowsIn(url, 'select id from meters')).toEqual([{ id: 7 }]);
    expect(
      await rowsIn(url, 'select name, state, source from mpm_migrate.history order by position'),
    ).toEqual([
      { name: '1_settings', state: 'applied', source: 'template' },
      { name: '2_keys', state: 'applied', source: 'core' },
      { name: '3_meters', state: 'applied', source: 'core' },
    ]);
  }
  // What comes behind it is no part of the template: what is there stays good.
  await writeFile(join(config.migrations.core, '4_more.sql'), 'create table more ();');
  expect(await fillPool(config, { size: 1 })).toMatchObject({ made: 1, dropped: 0 });
  await writeFile(join(config.migrations.core, '5_most.sql'), 'create table most ();');
  expect(await poolStatus(config)).toMatchObject([{ ready: 1, stale: 0 }]);
  expect(await make(config, 'later')).toMatchObject({ source: 'pool', head: '5_most' });
  expect(
    await withServer(config, 'default', async (server) => listTemplates(server, await identified(config))),
  ).toHaveLength(1);
  await clear(config);
});

test('fleet 45: a seed that is per tenant is all that is run in a copy; one that fails leaves nothing of it', async () => {
  const seeds = { 'a.sql': 'insert into meters values (7);', 'b.sql': `-- mpm:per-tenant\n${SECRET}` };
  const config = await fleetOf({ ...CORE, '2_keys.sql': 'select 1;' }, seeds);
  const made = [await make(config, 'one'), await make(config, 'two')];
  expect(await settingsOf(made)).toEqual({ secrets: 2, own: true });
  for (const { source, applied, head, url } of made) {
    expect({ source, applied, head }).toEqual({ source: 'template', applied: [], head: '3_meters' });
    expect(await rowsIn(url, 'select id from meters')).toEqual([{ id: 7 }]);
    expect(
      await rowsIn(url, 'select table_name as name from mpm_migrate.history_reference order by 1'),
    ).toEqual([{ name: 'meters' }, { name: 'settings' }]);
  }
  await writeFile(
    join(config.migrations.seeds, 'b.sql'),
    '-- mpm:per-tenant\ninsert into nothing values (1);',
  );
  await expect(make(config, 'failing')).rejects.toMatchObject({ code: 'PROVISION_FAILED', migration: 'b' });
  expect(
    await databases.query(`select from pg_database where datname = '${databases.prefix}failing'`),
  ).toEqual([]);
  await clear(config);
});

test('fleet 45: where the first migration is per tenant, there is no template, and nothing to be told', async () => {
  const config = await fleetOf({ '1_a.sql': '-- mpm:per-tenant\ncreate table a (id int);' }, {});
  expect(await make(config, 'one')).toMatchObject({ source: 'migrations', notices: [], head: '1_a' });
  expect(await fillPool(config, { size: 1 })).toMatchObject({ ready: 1, notices: [] });
  expect(await make(config, 'two')).toMatchObject({ source: 'pool', head: '1_a', notices: [] });
});

test('fleet 45: templates.except with a name that nothing has is refused before anything is made', async () => {
  const config = await fleetOf(CORE);
  config.perTenant = ['2_kays'];
  await expect(make(config, 'one')).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: 'templates.except: no core migration and no seed is called "2_kays"',
    hint: 'Did you mean "2_keys"?',
  });
});
