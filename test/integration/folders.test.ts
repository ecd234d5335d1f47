import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import type { Config } from '../../src/config/define.ts';
import { doctor } from '../../src/fleet/doctor/doctor.ts';
import { sync } from '../../src/fleet/verbs/sync.ts';
import { up } from '../../src/fleet/verbs/up.ts';
import { clone } from '../../src/tenants/clone.ts';
import { move } from '../../src/tenants/move/move.ts';
import { drop } from '../../src/tenants/drop.ts';
import { provision } from '../../src/tenants/create/provision.ts';
import { testServer, withDatabases } from '../helpers/database.ts';
import { rowsIn } from '../helpers/engine.ts';
import { makeFleet } from '../helpers/fleet.ts';

const databases = withDatabases();
let fleets = 0;

const historyOf = async (database: string) =>
  (await rowsIn(testServer(database), 'select name from mpm_migrate.history order by position')).map(
    ({ name }) => name as string,
  );

interface Fleet {
  config: Config;
  central: (text: string) => Promise<unknown>;
  database: string;
  own: (file: string) => string;
}

async function fleetOf(): Promise<Fleet> {
  const { config, central } = await makeFleet(databases, { count: 0, more: { templates: false } });
  const database = databases.adopt(`${databases.prefix}acme${(fleets += 1)}`).name;
  return { config, central, database, own: (file) => join(config.migrations.tenants, database, file) };
}

async function withOwn(fleet: Fleet): Promise<string> {
  const { config, database, own } = fleet;
  const { tenant } = await provision(config, { name: 'Acme', database });
  await sync(config, { all: true });
  await writeFile(own('9_own.sql'), 'create table own (id int);');
  await up(config, { all: true });
  return tenant.id;
}

test("fleet 39: a new company of a dropped one's database name begins with core, not with its folder", async () => {
  const fleet = await fleetOf();
  const { config, database, own } = fleet;
  const id = await withOwn(fleet);
  await writeFile(join(config.migrations.core, '3_late.sql'), 'create table late ();');
  await drop(config, id, { confirm: 'Acme' });
  const { tenant } = await provision(config, { name: 'Next', database });
  expect(await historyOf(database)).toEqual(['1_meters', '2_note', '3_late']);

  // A folder that stands there all the same, as an older version or another machine left it.
  await drop(config, tenant.id, { confirm: 'Next' });
  await mkdir(own(''), { recursive: true });
  await writeFile(own('9_own.sql'), 'create table own ();');
  await expect(provision(config, { name: 'Third', database })).rejects.toMatchObject({
    code: 'TENANT_FOLDER',
    aftermath: 'nothing was made',
    hint: expect.stringContaining('--claim') as string,
  });
  const { tenant: claimed } = await provision(config, { name: 'Third', database, claim: true });
  expect(await historyOf(database)).toEqual(['9_own']);
  await drop(config, claimed.id, { confirm: 'Third' });
  expect(existsSync(join(config.migrations.tenants, '.dropped', `${database}-2`, '9_own.sql'))).toBe(true);
});

test("fleet 39: a database's name that is chosen is none that has a folder", async () => {
  const { config } = await fleetOf();
  const folder = join(config.migrations.tenants, `${databases.prefix}chosen`);
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, '9_own.sql'), 'select 9;');
  const { tenant } = await provision(config, { name: `${databases.prefix}chosen` });
  expect(databases.adopt(tenant.database).name).toBe(`${databases.prefix}chosen_2`);
});

test('fleet 39: --claim without a folder is refused', async () => {
  const fleet = await fleetOf();
  const { config, database } = fleet;
  await expect(provision(config, { name: 'Nix', database, claim: true })).rejects.toMatchObject({
    code: 'TENANT_FOLDER',
    aftermath: 'nothing was made',
    hint: expect.stringContaining('.dropped') as string,
  });
});

test("fleet 39: a database's name that can be no folder has one all the same, its whole life", async () => {
  const { config } = await fleetOf();
  const { prefix } = databases;
  const [dotted = '', second = '', moved = ''] = [`.x${prefix}`, `${prefix}b.`, `../${prefix}y`].map(
    (name) => databases.adopt(name).name,
  );
  const { tenants } = config.migrations;
  const first = await provision(config, { name: 'First', database: dotted });
  expect((await sync(config, { all: true })).held).toEqual([]);
  await writeFile(join(tenants, `%2E${dotted.slice(1)}`, '9_own.sql'), 'create table own (id int);');
  expect(await up(config, { all: true })).toMatchObject({ failures: [], counts: { migrated: 1 } });
  const { tenant } = await clone(config, first.tenant.id, { name: 'Second', database: second });
  expect(await historyOf(second)).toContain('9_own');

  await databases.query(`alter database "${second}" rename to "${moved}"`);
  await move(config, tenant.id, { database: moved });
  expect((await readdir(tenants)).toSorted()).toEqual([`%2E.%2F${moved.slice(3)}`, `%2E${dotted.slice(1)}`]);
  expect((await doctor(config)).findings.filter(({ about }) => about === 'folders')).toEqual([]);
  await drop(config, tenant.id, { confirm: 'Second' });
  expect(await readdir(join(tenants, '.dropped'))).toEqual([`%2E.%2F${moved.slice(3)}`]);
});

test("fleet 39: a clone has its original's folder, and is current", async () => {
  const fleet = await fleetOf();
  const { config, central } = fleet;
  const id = await withOwn(fleet);
  const { name: copy } = databases.adopt(`${databases.prefix}copy`);
  const made = await clone(config, id, { name: 'Copy', database: copy });
  expect((await up(config, { all: true })).counts).toMatchObject({ current: 2, refused: 0 });
  await writeFile(join(config.migrations.tenants, copy, '10_more.sql'), 'create table more ();');
  expect((await up(config, { all: true })).counts).toMatchObject({ current: 1, migrated: 1 });

  // One that fails leaves no folder.
  await central(
    `create function no() returns trigger language plpgsql as 'begin raise exception ''no''; end';
create trigger no before update on company_databases for each row when (new.status = 'active') execute function no()`,
  );
  const { name: second } = databases.adopt(`${databases.prefix}second`);
  await expect(clone(config, made.tenant.id, { name: 'Second', database: second })).rejects.toThrow('no');
  expect(existsSync(join(config.migrations.tenants, second))).toBe(false);
});

test("fleet 39: doctor names folders that stop their tenant, and those that are nobody's", async () => {
  const fleet = await fleetOf();
  const { config, own } = fleet;
  const id = await withOwn(fleet);
  await mkdir(join(config.migrations.tenants, 'stray'));
  await rm(own('.mpm-migrate.json'));
  const found = async () =>
    (await doctor(config)).findings
      .filter(({ about }) => about === 'folders')
      .map(({ level, remedy }) => [level, remedy]);
  expect(await found()).toEqual([
    ['error', expect.stringContaining(`mpm-migrate sync --claim --tenant ${id}`) as string],
    ['warning', expect.stringContaining('mpm-migrate sync --claim') as string],
  ]);
  expect((await up(config, { all: true })).counts).toMatchObject({ failed: 1 });
  const claimed = await sync(config, { tenants: [id] }, { claim: true });
  expect(claimed.held).toEqual([]);
  expect((await up(config, { all: true })).counts).toMatchObject({ current: 1 });
  expect((await sync(config, { all: true }, { check: true })).orphans).toEqual([
    join(config.migrations.tenants, 'stray'),
  ]);
});

test('fleet 40: what was synced, then withdrawn from core, is not applied', async () => {
  const fleet = await fleetOf();
  const { config } = fleet;
  await withOwn(fleet);
  const withdrawn = join(config.migrations.core, '30_c3.sql');
  await writeFile(withdrawn, 'create table c3 ();');
  await sync(config, { all: true });
  await rm(withdrawn);
  expect((await up(config, { all: true })).counts).toMatchObject({ current: 1 });
  expect(await historyOf(fleet.database)).toEqual(['1_meters', '2_note', '9_own']);
});

test("histories 13: what is wrong with a tenant's own files is in the report, all of it, and in the ledger in short", async () => {
  const fleet = await fleetOf();
  const { config, own, central } = fleet;
  await withOwn(fleet);
  for (let number = 10; number < 60; number += 1)
    await writeFile(own(`${number}_x.sql`), '\\set x 1\ncommit;');
  const { failures, run } = await up(config, { all: true });
  expect(failures[0]?.error.message).toMatch(/^100 problems in /);
  expect(failures[0]?.error.problems).toHaveLength(100);
  const rows = await central(`select error from mpm_migrate.run_tenants where run = ${run}`);
  expect(rows).toEqual([{ error: expect.not.objectContaining({ problems: expect.anything() }) }]);
  expect(rows).toMatchObject([{ error: { message: failures[0]?.error.message } }]);
});

test("fleet 39: a link to nowhere, or a file, in the place of a tenant's folder is named, with what helps", async () => {
  const { config, database, own } = await fleetOf();
  const { tenant } = await provision(config, { name: 'Acme', database });
  const place = own('').replace(/\/$/, '');
  await mkdir(config.migrations.tenants, { recursive: true });
  await symlink('/nowhere/acme', place);
  const remedy = `rm ${place}`;
  const expected = {
    code: 'TENANT_FOLDER',
    message: `${place} is a link to /nowhere/acme, where there is nothing`,
    hint: expect.stringMatching(new RegExp(`${remedy}$`)) as string,
  };
  // As it may lead to a folder that is pinned, nothing is done to the tenant meanwhile.
  expect((await up(config, { all: true })).failures).toMatchObject([{ error: expected }]);
  expect((await sync(config, { all: true })).held).toMatchObject([{ error: expected }]);
  const { findings } = await doctor(config);
  expect(findings).toContainEqual(expect.objectContaining({ about: 'folders', message: expected.message }));
  await drop(config, tenant.id, { confirm: 'Acme' });
  await expect(provision(config, { name: 'Next', database })).rejects.toMatchObject(expected);
  await promisify(execFile)('sh', ['-c', remedy]);
  await provision(config, { name: 'Next', database });

  // A file is nobody's folder, and only in the way where one is to be made.
  await writeFile(place, 'notes');
  expect(await up(config, { all: true })).toMatchObject({ failures: [], counts: { current: 1 } });
  expect((await sync(config, { all: true })).held).toMatchObject([
    { error: { code: 'TENANT_FOLDER', message: `${place} is no folder` } },
  ]);
  await rm(place);
  expect(await sync(config, { all: true })).toMatchObject({ held: [], copied: 2 });
});
