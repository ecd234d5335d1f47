import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { expect, test } from 'vitest';
import { clone } from '../../src/tenants/clone.ts';
import { drainPool, fillPool } from '../../src/tenants/create/pool.ts';
import { provision } from '../../src/tenants/create/provision.ts';
import { testServer, withDatabases } from '../helpers/database.ts';
import { makeFleet, type TestFleet } from '../helpers/fleet.ts';
import { startProxy } from '../helpers/proxy.ts';

const databases = withDatabases();
const fleetOf = () => makeFleet(databases, { count: 0, more: { templates: false } });

test('fleet 54: a core file that comes while a tenant is made is told, with what to type', async () => {
  const { config } = await fleetOf();
  const late = () => writeFileSync(join(config.migrations.core, '3_late.sql'), 'create table late ();');
  const report = await provision(config, { name: `${databases.prefix}made` }, { onMigration: late });
  databases.adopt(report.tenant.database);
  const what = 'the core folder or the seeds were changed while it was made';
  expect(report).toMatchObject({
    filesChanged: true,
    notices: [`${what}: mpm-migrate up --tenant ${report.tenant.id}`],
  });
  expect(await provision(config, { name: `${databases.prefix}later` })).not.toHaveProperty('filesChanged');
  databases.adopt(`${databases.prefix}later`);

  const more = () => writeFileSync(join(config.migrations.core, '4_more.sql'), 'create table more ();');
  expect(await fillPool(config, { size: 1 }, { onMigration: more })).toMatchObject({
    filesChanged: true,
    ready: 1,
    notices: [`${what}: mpm-migrate tenant pool fill --size 1`],
  });
  await drainPool(config);
});

/** Does something in the central database in the moment in which the copy's database is there. */
const afterCopy = (fleet: TestFleet, work: string) =>
  fleet.central(`create or replace function meanwhile() returns trigger language plpgsql as $f$ begin ${work}; return new; end $f$;
create or replace trigger meanwhile before update on company_databases for each row
  when (pg_trigger_depth() = 0 and new.building_as is not null and new.database_oid is not null) execute function meanwhile()`);

test('fleet 54: what was made anew, or lost a plugin, while it was copied is no original', async () => {
  const fleet = await fleetOf();
  const { config, central } = fleet;
  const { tenant } = await provision(config, { name: `${databases.prefix}first` });
  databases.adopt(tenant.database);
  const { name: database } = databases.adopt(`${databases.prefix}copy`);
  const copy = () => clone(config, tenant.id, { name: 'Copy', database });
  for (const work of [
    `update company_databases set database_oid = 1 where company_id = ${tenant.id}`,
    `update company_databases set status = 'provisioning' where company_id = ${tenant.id}`,
    `delete from company_plugins where company_id = ${tenant.id}`,
  ]) {
    await central(`insert into plugins (name) values ('meters') on conflict do nothing;
insert into company_plugins select ${tenant.id}, id from plugins on conflict do nothing;
update company_databases set status = 'active' where company_id = ${tenant.id}`);
    await afterCopy(fleet, work);
    await expect(copy()).rejects.toMatchObject({
      message: expect.stringContaining('was made anew, or its plugins were changed, while it was copied'),
      aftermath: expect.stringContaining('nothing is left of it'),
    });
    expect(await databases.query(`select from pg_database where datname = '${database}'`)).toEqual([]);
  }
  await central('drop trigger meanwhile on company_databases');
  await central(`update company_databases set status = 'active' where company_id = ${tenant.id}`);
  expect((await copy()).tenant).toMatchObject({ status: 'active' });
});

test('fleet 6: a copy that is cancelled while the server makes it is not made', async () => {
  const { config } = await fleetOf();
  const { tenant } = await provision(config, { name: `${databases.prefix}big` });
  databases.adopt(tenant.database);
  const { name: database } = databases.adopt(`${databases.prefix}never`);
  const gate = new Client({ connectionString: testServer('postgres') });
  await gate.connect();
  await gate.query('begin; lock table pg_catalog.pg_database in exclusive mode');
  const [stop, cancel] = [new AbortController(), new AbortController()];
  const signals = { signal: stop.signal, cancel: cancel.signal };
  const copying = clone(config, tenant.id, { name: 'Never', database }, signals).catch(
    (error: unknown) => error,
  );
  const atWork = async () =>
    (
      await databases.query(
        `select from pg_stat_activity where starts_with(query, 'create database "mpm_copy_') and query like '%template "${tenant.database}"%' and wait_event_type = 'Lock'`,
      )
    ).length === 1;
  while (!(await atWork())) await sleep(10);
  stop.abort();
  cancel.abort();
  while (await atWork()) await sleep(10);
  await gate.query('rollback');
  await gate.end();
  expect(await copying).toMatchObject({
    code: 'INTERRUPTED',
    aftermath: expect.stringContaining('nothing is left of it') as string,
  });
  expect(await databases.query(`select from pg_database where datname = '${database}'`)).toEqual([]);
});

test('fleet 49: a creation or a copy whose last answer is lost, and that was done, drops nothing', async () => {
  const fleet = await fleetOf();
  const first = await provision(fleet.config, { name: `${databases.prefix}original` });
  databases.adopt(first.tenant.database);
  await fleet.central(`create function waits() returns trigger language plpgsql as 'begin perform pg_advisory_xact_lock(4712); return new; end';
create trigger waits before update on company_databases for each row when (new.status = 'active') execute function waits()`);
  await using proxy = await startProxy(testServer('postgres'));
  const config = { ...fleet.config, central: { url: proxy.through(fleet.config.central.url as string) } };
  for (const [name, make] of [
    ['answered', (database: string) => provision(config, { name: 'Made', database })],
    ['copied2', (database: string) => clone(config, first.tenant.id, { name: 'Copied', database })],
  ] as const) {
    const { name: database } = databases.adopt(`${databases.prefix}${name}`);
    const gate = new Client({ connectionString: fleet.config.central.url as string });
    await gate.connect();
    await gate.query('select pg_advisory_lock(4712)');
    const making = make(database).catch((error: unknown) => error);
    await databases.waitFor("wait_event = 'advisory'");
    proxy.cutAll();
    // The server goes on once who is to undo it waits for the row.
    await Promise.race([databases.waitFor("wait_event = 'transactionid'"), making]);
    await gate.end();
    expect(await making).toMatchObject({
      code: 'CONNECTION',
      aftermath: expect.stringMatching(
        /the creation was finished: tenant \d+ is active, and nothing was removed/,
      ),
    });
    expect(await databases.query(`select from pg_database where datname = '${database}'`)).toHaveLength(1);
    expect(
      await fleet.central(`select status from company_databases where database_name = '${database}'`),
    ).toEqual([{ status: 'active' }]);
  }
});
