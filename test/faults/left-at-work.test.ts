import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { expect, test } from 'vitest';
import type { Config } from '../../src/config/define.ts';
import { release } from '../../src/tenants/change.ts';
import { drop } from '../../src/tenants/drop.ts';
import { drainPool, poolStatus } from '../../src/tenants/create/pool.ts';
import { provision, resumeProvision } from '../../src/tenants/create/provision.ts';
import { testServer, withDatabases } from '../helpers/database.ts';
import { rowsIn } from '../helpers/engine.ts';
import { makeFleet } from '../helpers/fleet.ts';

const databases = withDatabases();

async function fleetOf(): Promise<{ config: Config; url: string }> {
  const { config } = await makeFleet(databases, { count: 0, more: { templates: false } });
  return { config, url: config.central.url };
}

/** The backend of a process that was killed while it created or dropped a database, held there. */
async function leftAtWork(sql: string): Promise<{ goOn(): Promise<void> }> {
  const gate = await clientOf();
  await gate.query('begin; lock table pg_catalog.pg_database in exclusive mode');
  const killed = await clientOf();
  const { rows } = await killed.query<{ pid: number }>('select pg_backend_pid() as pid');
  const pid = rows[0]?.pid;
  killed.query(sql).catch(() => undefined);
  // Not by the gate: within a transaction, what the view shows stays as it was.
  const look = async (condition: string): Promise<boolean> =>
    (await databases.query(`select from pg_stat_activity where pid = ${pid} and ${condition}`)).length === 1;
  while (!(await look(`wait_event_type = 'Lock'`))) await sleep(5);
  (killed as unknown as { connection: { stream: { destroy(): void } } }).connection.stream.destroy();
  return {
    async goOn() {
      await gate.query('rollback');
      while (await look('true')) await sleep(5);
      await gate.end();
    },
  };
}

async function clientOf(): Promise<Client> {
  const client = new Client({ connectionString: testServer('postgres') });
  client.on('error', () => undefined);
  await client.connect();
  return client;
}

const exists = async (database: string) =>
  (await databases.query(`select from pg_database where datname = '${database}'`)).length === 1;

/** A creation that was killed at CREATE DATABASE. */
async function begun(url: string, label: string): Promise<{ name: string; database: string; as: string }> {
  const database = `${databases.prefix}${label}`;
  const as = `mpm_new_${Buffer.from(database).toString('hex').slice(-24).padStart(24, '0')}`;
  const name = `${databases.prefix}Company ${label}`;
  await rowsIn(
    url,
    `insert into companies (name) values ('${name}');
insert into company_databases (company_id, database_name, status, provision_step, building_as)
values (1, '${database}', 'provisioning', 'database', '${as}')`,
  );
  return { name, database, as };
}

test('fleet 50: a creation that is dropped while the server is still at it leaves no database', async () => {
  const { config, url } = await fleetOf();
  const { name, as } = await begun(url, 'late');
  const left = await leftAtWork(`create database "${as}"`);
  await drop(config, '1', { confirm: name });
  await left.goOn();
  expect(await exists(databases.adopt(as).name)).toBe(false);
});

test('fleet 50: a creation is resumed while the server is still at it', async () => {
  const { config, url } = await fleetOf();
  const { as, database } = await begun(url, 'soon');
  databases.adopt(database);
  const left = await leftAtWork(`create database "${as}"`);
  const [report] = await Promise.all([resumeProvision(config, '1'), left.goOn()]);
  expect(report.tenant).toMatchObject({ status: 'active', database });
  expect(await exists(databases.adopt(as).name)).toBe(false);
});

test('fleet 50: a pool is drained while the server is still at one of its databases', async () => {
  const { config, url } = await fleetOf();
  const name = `mpm_pool_${'0'.repeat(16)}${databases.prefix.replace(/\W/g, '').slice(-8)}`;
  await rowsIn(
    url,
    `insert into mpm_migrate.pool (server, database_name, blueprint) values ('default', '${name}', 'x')`,
  );
  const left = await leftAtWork(`create database "${name}"`);
  const draining = drainPool(config);
  await Promise.race([draining, sleep(200)]);
  await left.goOn();
  await draining;
  expect(await exists(databases.adopt(name).name)).toBe(false);
  expect(await poolStatus(config)).toMatchObject([{ unfinished: 0 }]);
});

test('fleet 50: no release of a tenant whose database the server is dropping, or has dropped', async () => {
  const { config, url } = await fleetOf();
  const { tenant } = await provision(config, { name: `${databases.prefix}dropped` });
  const { id, name, database } = tenant;
  const refused = {
    code: 'DATABASE_MISSING',
    message: `the database "${databases.adopt(database).name}" of ${name} (${id}) is dropped already`,
    hint: `To finish: mpm-migrate tenant drop ${id}`,
  };
  const reason = `being dropped: mpm-migrate tenant drop ${id} ends it`;
  await rowsIn(url, `update company_databases set status = 'hold', reason = '${reason}'`);
  expect(await release(config, id)).toMatchObject({ done: 'released' });
  await rowsIn(url, `update company_databases set status = 'hold', reason = '${reason}'`);
  const left = await leftAtWork(`drop database if exists "${database}"`);
  const releasing = release(config, id).catch((error: unknown) => error);
  await Promise.race([releasing, sleep(100)]);
  await left.goOn();
  expect(await releasing).toMatchObject(refused);
  await expect(release(config, id)).rejects.toMatchObject(refused);
  await drop(config, id, { confirm: name });
  expect(await rowsIn(url, 'select from companies')).toEqual([]);
});
