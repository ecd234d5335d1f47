import { expect, test } from 'vitest';
import type { Config } from '../../src/config/define.ts';
import type { MpmError } from '../../src/errors.ts';
import { doctor } from '../../src/fleet/doctor/doctor.ts';
import { fresh } from '../../src/fleet/verbs/fresh.ts';
import { adopt } from '../../src/tenants/adopt.ts';
import { clone } from '../../src/tenants/clone.ts';
import { drop } from '../../src/tenants/drop.ts';
import { move } from '../../src/tenants/move/move.ts';
import { provision } from '../../src/tenants/create/provision.ts';
import { withDatabases } from '../helpers/database.ts';
import { makeFleet, type TestFleet } from '../helpers/fleet.ts';
import { startServer } from '../helpers/server.ts';

const databases = withDatabases();

/** Its one server has two names; tenants 1 and 2 have the same database, which tenant 3 has not. */
async function twoNames(): Promise<TestFleet & { shared: string }> {
  const made = await makeFleet(databases, { count: 3 });
  const alias = new URL(made.config.servers['default']!.url);
  alias.hostname = alias.hostname === 'localhost' ? '127.0.0.1' : 'localhost';
  made.config.servers['eu'] = { name: 'eu', url: alias.href };
  made.config.templates = false;
  const shared = made.tenants[0]!.database;
  await made.central(
    `update company_databases set server = 'eu', database_name = '${shared}' where company_id = 2`,
  );
  return { ...made, shared };
}

async function failure(work: Promise<unknown>): Promise<MpmError> {
  return work.then(
    () => Promise.reject(new Error('it did not fail')),
    (error: unknown) => error as MpmError,
  );
}

const exists = async (database: string) =>
  (await databases.query(`select from pg_database where datname = '${database}'`)).length === 1;

test('fleet 26: one database with two names: doctor names both rows; nobody drops it, makes it anew or moves to it', async () => {
  const { config, shared, central, tenants } = await twoNames();
  const { findings } = await doctor(config);
  const errors = findings.filter(({ level }) => level === 'error');
  expect(errors).toMatchObject([
    {
      about: 'tenants',
      message: `company-1 (1) and company-2 (2) have one database, "${shared}": servers "default" and "eu" are one`,
      remedy: expect.any(String),
    },
  ]);
  expect(findings).toContainEqual({
    about: 'server eu',
    level: 'ok',
    message: 'it is the server "default" under another name',
  });
  const rows = () =>
    central('select company_id, server, database_name, status from company_databases order by 1');
  const before = await rows();
  const both = (error: MpmError): void => {
    expect(error).toMatchObject({ code: 'CENTRAL_INVALID', aftermath: 'nothing was changed' });
    expect(error.message).toMatch(/company-[12] \([12]\) has the same database as company-[12] \([12]\)/);
    expect(error.hint).toMatch(/mpm-migrate tenant show [12]/);
  };
  both(await failure(drop(config, '2', { confirm: 'company-2', disconnect: true })));
  both(await failure(drop(config, '1', { confirm: 'company-1' })));
  both(await failure(fresh(config, '2', { confirm: shared })));
  const moved = await failure(
    central(
      `update company_databases set server = 'eu', database_name = '${tenants[1]!.database}' where company_id = 3`,
    ).then(() => move(config, '1', { server: 'default', database: tenants[1]!.database, withoutOld: true })),
  );
  expect(moved.message).toContain('company-1 (1) has the same database as company-3 (3)');
  await central(
    "update company_databases set server = 'default', database_name = '" +
      tenants[2]!.database +
      "' where company_id = 3",
  );
  expect(await rows()).toEqual(before);
  expect(await exists(shared)).toBe(true);
  // Another name on the other server is no obstacle.
  await drop(config, '3', { confirm: 'company-3' });
  expect(await exists(tenants[2]!.database)).toBe(false);
});

test('fleet 26: nobody adopts, clones or creates a database that another tenant has under another name', async () => {
  const { config, shared, central } = await twoNames();
  await central("update company_databases set status = 'hold' where company_id = 2");
  await central(
    `update company_databases set database_name = '${shared}_2', server = 'default' where company_id = 2`,
  );
  const adopted = await failure(adopt(config, { name: 'Third', database: shared, server: 'eu' }));
  expect(adopted).toMatchObject({
    code: 'DATABASE_EXISTS',
    message: expect.stringContaining('company-1 (1)'),
  });
  // Its row is there, and its database is not: who makes it would make it for two.
  const named = { name: 'Fourth', database: `${shared}_2`, server: 'eu' };
  for (const work of [
    clone({ ...config, servers: { ...config.servers, default: config.servers['eu']! } }, '3', {
      name: 'Fourth',
      database: `${shared}_2`,
    }),
    provision(config, named),
  ]) {
    const error = await failure(work);
    expect(error).toMatchObject({ code: 'DATABASE_EXISTS' });
  }
  expect(await exists(`${shared}_2`)).toBe(false);
  expect(await central('select from companies')).toHaveLength(3);
  // Of a name that we choose there are others.
  await central(
    `update company_databases set database_name = '${databases.prefix}fifth' where company_id = 2`,
  );
  const made = await provision(config, { name: `${databases.prefix}fifth`, server: 'eu' });
  databases.adopt(made.tenant.database);
  expect(made.tenant).toMatchObject({ server: 'eu', database: `${databases.prefix}fifth_2` });
});

test('fleet 26: a server that cannot be asked holds back only its database names; one that is another does not', async () => {
  await using other = await startServer();
  const { config, shared, central, tenants } = await twoNames();
  const away: Config = {
    ...config,
    servers: { ...config.servers, eu: { name: 'eu', url: 'postgres://127.0.0.1:1/postgres' } },
  };
  const held = await failure(drop(away, '1', { confirm: 'company-1' }));
  expect(held).toMatchObject({
    code: 'CONNECTION',
    aftermath: 'nothing was changed',
    hint: expect.stringContaining('tenant show 2'),
  });
  expect(held.message).toContain('company-2 (2)');
  expect(await exists(shared)).toBe(true);
  await drop(away, '3', { confirm: 'company-3' });
  expect(await exists(tenants[2]!.database)).toBe(false);
  config.servers['eu'] = { name: 'eu', url: other.url };
  const { findings } = await doctor(config);
  expect(findings.filter(({ message }) => message.includes('one database'))).toEqual([]);
  await drop(config, '1', { confirm: 'company-1' });
  expect(await exists(shared)).toBe(false);
  expect(await central('select from companies')).toHaveLength(1);
});
