import pg from 'pg';
import { expect, test } from 'vitest';
import { beginAgain } from '../../src/central/list/provisioning.ts';
import { withCentral } from '../../src/central/central.ts';
import { fresh } from '../../src/fleet/verbs/fresh.ts';
import { up } from '../../src/fleet/verbs/up.ts';
import { resumeProvision } from '../../src/tenants/create/provision.ts';
import { testServer, withDatabases } from '../helpers/database.ts';
import { makeFleet, type TestFleet } from '../helpers/fleet.ts';

const databases = withDatabases();

async function filledFleet(): Promise<{ fleet: TestFleet; database: string; oid: string }> {
  const fleet = await makeFleet(databases, { count: 2 });
  await up(fleet.config, { all: true });
  for (const tenant of fleet.tenants) await fleet.of(tenant, 'insert into meters values (1)');
  const database = fleet.tenants[0]?.database ?? '';
  return { fleet, database, oid: await oidOf(database) };
}

async function oidOf(database: string): Promise<string> {
  const rows = await databases.query<{ oid: string }>(
    `select oid::text from pg_database where datname = '${database}'`,
  );
  return rows[0]?.oid ?? '';
}

const statusOf = (fleet: TestFleet) =>
  fleet.central('select status, reason from company_databases where company_id = 1');

test('fresh: a new database under the same name, migrated and empty; others are left alone', async () => {
  const { fleet, database, oid } = await filledFleet();
  await expect(fresh(fleet.config, '1', { confirm: 'company-1' })).rejects.toMatchObject({
    code: 'CONFIRMATION',
  });
  expect(await oidOf(database)).toBe(oid);
  const report = await fresh(fleet.config, 'company-1', { confirm: database });
  expect(report).toMatchObject({ tenant: { id: '1', database, status: 'active' }, head: '2_note' });
  expect(await oidOf(database)).not.toBe(oid);
  expect(await fleet.of(fleet.tenants[0], 'select * from meters')).toEqual([]);
  expect(await fleet.of(fleet.tenants[1], 'select * from meters')).toHaveLength(1);
  expect(await statusOf(fleet)).toEqual([{ status: 'active', reason: null }]);
  expect(await up(fleet.config, { all: true })).toMatchObject({ counts: { current: 2 } });
});

test('fresh: refused while others are connected, unless they are to be disconnected', async () => {
  const { fleet, database, oid } = await filledFleet();
  const other = new pg.Client({ connectionString: testServer(database), application_name: 'report' });
  const gone = new Promise((resolve) => other.on('error', resolve));
  await other.connect();
  await expect(fresh(fleet.config, '1', { confirm: database })).rejects.toMatchObject({
    code: 'DATABASE_IN_USE',
    message: expect.stringContaining('"report"'),
    hint: expect.stringContaining('--disconnect'),
  });
  expect(await oidOf(database)).toBe(oid);
  expect(await statusOf(fleet)).toEqual([{ status: 'active', reason: null }]);
  await fresh(fleet.config, '1', { confirm: database, disconnect: true });
  await gone;
  expect(await oidOf(database)).not.toBe(oid);
});

test('fresh: never the central database, nor a tenant that is not active', async () => {
  const { fleet, database } = await filledFleet();
  const { pathname } = new URL(fleet.config.central.url);
  const central = decodeURIComponent(pathname.slice(1));
  await fleet.central(`update company_databases set database_name = '${central}' where company_id = 2`);
  await expect(fresh(fleet.config, '2', { confirm: central })).rejects.toMatchObject({
    code: 'WRONG_DATABASE',
  });
  await fleet.central("update company_databases set status = 'hold', reason = 'audit' where company_id = 1");
  await expect(fresh(fleet.config, '1', { confirm: database })).rejects.toMatchObject({
    code: 'TENANT_STATUS',
    hint: 'mpm-migrate tenant release 1',
  });
  await fleet.central("update company_databases set status = 'provisioning' where company_id = 1");
  await expect(fresh(fleet.config, '1', { confirm: database })).rejects.toMatchObject({
    hint: 'mpm-migrate tenant create --resume 1',
  });
});

test('fresh: cut off before the drop, the tenant is resumed as it was; after it, with a new database', async () => {
  const { fleet, database, oid } = await filledFleet();
  const begin = () =>
    withCentral(fleet.config, async (central) =>
      beginAgain(central, { id: '1', server: 'default', database }, await oidOf(database)),
    );
  expect(await begin()).toBe(true);
  // Killed here: `up` passes it by, and says what to type.
  const report = await up(fleet.config, { tenants: ['1'] });
  expect(report.skipped[0]?.reason).toContain('tenant create --resume');
  await resumeProvision(fleet.config, '1');
  expect(await oidOf(database)).toBe(oid);
  expect(await fleet.of(fleet.tenants[0], 'select * from meters')).toHaveLength(1);

  expect(await begin()).toBe(true);
  await databases.query(`drop database "${database}"`);
  await resumeProvision(fleet.config, '1');
  expect(await fleet.of(fleet.tenants[0], 'select * from meters')).toEqual([]);
  expect(await statusOf(fleet)).toEqual([{ status: 'active', reason: null }]);
});

test('fresh: a migration that fails leaves the tenant as failed, with its remedy', async () => {
  const { fleet, database } = await filledFleet();
  await fleet.write({ 'core/3_bad.sql': 'select 1/0;' });
  await expect(fresh(fleet.config, '1', { confirm: database })).rejects.toMatchObject({
    code: 'PROVISION_FAILED',
    hint: expect.stringContaining('mpm-migrate tenant create --resume 1'),
  });
  expect(await statusOf(fleet)).toMatchObject([{ status: 'failed' }]);
  await fleet.write({ 'core/3_bad.sql': 'select 1;' });
  await resumeProvision(fleet.config, '1');
  expect(await statusOf(fleet)).toEqual([{ status: 'active', reason: null }]);
});
