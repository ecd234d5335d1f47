import pg from 'pg';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { listInstallable } from '../../src/central/plugins.ts';
import { withCentral } from '../../src/central/central.ts';
import { Fleet } from '../../src/fleet/fleet.ts';
import { hold, rename } from '../../src/tenants/change.ts';
import { provision } from '../../src/tenants/create/provision.ts';
import { drainPool, fillPool } from '../../src/tenants/create/pool.ts';
import { withDatabases } from '../helpers/database.ts';
import { makeFleet, type TestFleet } from '../helpers/fleet.ts';
import { OPTIONS } from '../helpers/options.ts';

const databases = withDatabases();
const stranger = `${databases.prefix}stranger`;
const app = `${databases.prefix}app`;

beforeAll(() => databases.query(`create role ${stranger} login password 'x'; create role ${app} login`));
afterAll(async () => {
  // Templates keep the grant; it is taken from all databases at once.
  await databases.query(`drop owned by ${stranger}, ${app}`);
  await databases.query(`drop role ${stranger}, ${app}`);
});

/** A login without any right, which holds a lock in the central database until the test ends. */
async function holds(fleet: TestFleet, lock: string): Promise<number> {
  const url = new URL(fleet.config.central.url);
  url.username = stranger;
  url.password = 'x';
  const client = new pg.Client({ connectionString: url.href, application_name: 'the stranger' });
  client.on('error', () => undefined);
  await client.connect();
  onTestFinished(() => client.end());
  const { rows } = await client.query<{ pid: number }>(`select pg_backend_pid() as pid, ${lock}`);
  return rows[0]?.pid ?? 0;
}

const busy = (pid: number) => ({
  code: 'BUSY',
  message: expect.stringContaining(`held by pid ${pid}, "the stranger" as ${stranger}`) as string,
});

test('engine 36: whoever holds the lock of the list of tenants is waited for so long, and named', async () => {
  const fleet = await makeFleet(databases, {
    count: 1,
    files: { 'core/1_a.sql': 'create table a ();', 'plugins/meters/2_b.sql': 'create table b ();' },
    more: { pace: { ...OPTIONS.pace, lockWait: 300 }, templates: false },
  });
  const { config } = fleet;
  const pid = await holds(fleet, `pg_advisory_lock(${0x6d_70_6d}, 1)`);
  const told: string[] = [];
  const input = { name: 'Acme', database: `${databases.prefix}acme` };
  await expect(
    provision(config, input, { onWaiting: (reason) => void told.push(reason) }),
  ).rejects.toMatchObject(busy(pid));
  expect(told.length).toBeGreaterThan(0);
  await expect(rename(config, '1', 'Other')).rejects.toMatchObject(busy(pid));
  const library = new Fleet(config);
  await expect(library.addPlugin('meters')).rejects.toMatchObject(busy(pid));
  await library.close();
  expect(await fleet.central('select name from companies')).toEqual([{ name: 'company-1' }]);
  expect(await withCentral(config, listInstallable)).toEqual([]);

  await databases.query(`select pg_terminate_backend(${pid})`);
  databases.adopt(input.database);
  expect(await provision(config, input)).toMatchObject({ tenant: { status: 'active' } });
});

test('engine 36: the lock of a tenant, a template or a pool names its holder as well', async () => {
  const fleet = await makeFleet(databases, {
    count: 1,
    more: { pace: { ...OPTIONS.pace, lockWait: 300 } },
  });
  const { config } = fleet;
  const every = `(select sum(1) from (select pg_advisory_lock(${0x6d_70_6e}, ('x' || left(encode(sha256(key::bytea), 'hex'), 8))::bit(32)::int)
    from (values ('1'), ('template of default'), ('pool of default')) k(key)) l) as locked`;
  const pid = await holds(fleet, every);
  await expect(hold(config, '1', { reason: 'x' })).rejects.toMatchObject(busy(pid));
  await expect(drainPool(config)).rejects.toMatchObject(busy(pid));
  const input = { name: 'Beta', database: `${databases.prefix}beta` };
  databases.adopt(input.database);
  const made = await provision(config, input);
  expect(made.notices.join()).toContain(`held by pid ${pid}`);
});

test('engine 36: with databases.connect, what is created admits only its owner and those roles', async () => {
  const fleet = await makeFleet(databases, { count: 0, more: { databases: { connect: [app] } } });
  const { config } = fleet;
  const input = { name: 'Gamma', database: `${databases.prefix}gamma` };
  databases.adopt(input.database);
  const { source } = await provision(config, input);
  expect(source).toBe('template');
  await fillPool(config, { size: 1 });
  const copy = { name: 'Copy', database: `${databases.prefix}copy` };
  databases.adopt(copy.database);
  const library = new Fleet({ ...config, templates: false });
  await library.clone('Gamma', copy);
  await library.close();

  const pooled = await fleet.central<{ name: string }>('select database_name as name from mpm_migrate.pool');
  const names = [input.database, copy.database, ...pooled.map(({ name }) => name)];
  const rows = await databases.query<{ name: string; everybody: boolean; app: boolean }>(
    `select datname as name, has_database_privilege('public', oid, 'connect, temporary') as everybody, has_database_privilege('${app}', oid, 'connect') as app
from pg_database where datname in (${names.map((name) => `'${name}'`).join(', ')})`,
  );
  expect(rows).toHaveLength(3);
  for (const row of rows) expect(row).toMatchObject({ everybody: false, app: true });
  await drainPool(config);

  const missing = { ...config, databases: { connect: ['nobody_at_all'] } };
  await expect(
    provision({ ...missing, templates: false }, { name: 'Delta', database: `${databases.prefix}delta` }),
  ).rejects.toMatchObject({ message: expect.stringContaining('nobody_at_all') as string });
  expect(await databases.query(`select from pg_database where datname = '${databases.prefix}delta'`)).toEqual(
    [],
  );
});
