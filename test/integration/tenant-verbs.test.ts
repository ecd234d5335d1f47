import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { sql } from 'kysely';
import { expect, onTestFinished, test, vi } from 'vitest';
import type { MpmError } from '../../src/errors.ts';
import { Fleet } from '../../src/fleet/fleet.ts';
import { testServer, withDatabases } from '../helpers/database.ts';
import { CORE, makeFleet, type TestFleet } from '../helpers/fleet.ts';

const databases = withDatabases();
const all = { all: true };

const SLOW = '-- migrate:up\nselect pg_advisory_xact_lock(4711);\n-- migrate:down\nselect 1;\n';

const failure = (work: Promise<unknown>): Promise<MpmError> =>
  work.then(
    () => Promise.reject(new Error('it did not fail')),
    (error: unknown) => error as MpmError,
  );

/** The rows of a tenant, and whether its database and its folder are there. */
async function stateOf(fleet: TestFleet, id: string, database: string) {
  const rows = await fleet.central(
    `select name, d.status, d.server, d.database_name from companies join company_databases d on company_id = companies.id where company_id = ${id}`,
  );
  const there = await databases.query(`select 1 from pg_database where datname = '${database}'`);
  return {
    rows,
    database: there.length === 1,
    folder: existsSync(join(fleet.config.migrations.tenants, database)),
  };
}

test('fleet 16, 41: create, clone, rename, move and drop while a run is at work in the tenant: as docs/tenants.md says', async () => {
  const made = await makeFleet(databases, { count: 1, more: { templates: false } });
  made.config.servers['eu'] = { name: 'eu', url: testServer('postgres') };
  made.config.pace = { ...made.config.pace, lockWait: 200, lockTimeout: 60_000 };
  const [tenant] = made.tenants;
  const old = tenant?.database ?? '';
  await using fleet = new Fleet(made.config);
  await fleet.up(all);
  await made.write({ 'core/3_slow.sql': SLOW });
  const unblock = () =>
    databases.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${old}' and query like '%blocker%'`,
    );
  onTestFinished(async () => void (await unblock()));
  const blocker = made
    .of(tenant, 'select pg_advisory_lock(4711) /* blocker */; select pg_sleep(10)')
    .catch(() => []);
  await databases.waitFor("query like '%blocker%' and wait_event = 'PgSleep'");
  const running = fleet.up({ tenants: ['1'] });
  await databases.waitFor("application_name like 'mpm-migrate/%' and wait_event = 'advisory'");
  const before = await stateOf(made, '1', old);

  const input = { name: 'New', database: databases.adopt(`${databases.prefix}new`).name };
  expect((await fleet.provision(input)).tenant.status).toBe('active');
  expect(await made.historyOf({ id: '2', ...input })).toEqual(['1_meters', '2_note', '3_slow']);

  const copy = { name: 'Copy', database: databases.adopt(`${databases.prefix}copy`).name };
  for (const verb of [() => fleet.clone(1, copy), () => fleet.drop(1, { confirm: 'company-1' })]) {
    expect(await failure(verb())).toMatchObject({ code: 'DATABASE_IN_USE' });
  }
  expect(await stateOf(made, '1', old)).toEqual(before);
  await fleet.rename(1, 'Renamed');
  const after = await stateOf(made, '1', old);
  expect(after).toEqual({ ...before, rows: [{ ...before.rows[0], name: 'Renamed' }] });
  const place = { server: 'eu', database: (await databases.create('elsewhere')).name };
  expect(await failure(fleet.move(1, place))).toMatchObject({ code: 'TENANT_STATUS' });
  expect(await failure(fleet.hold(1, { reason: 'moving' }))).toMatchObject({ code: 'BUSY' });
  expect(await failure(fleet.move(1, place))).toMatchObject({ code: 'DATABASE_IN_USE' });
  await fleet.release(1);
  expect(await stateOf(made, '1', old)).toEqual(after);

  await unblock();
  await blocker;
  expect((await running).counts).toMatchObject({ migrated: 1, failed: 0 });
  expect(await made.historyOf(tenant)).toEqual(['1_meters', '2_note', '3_slow']);
});

test('fleet 16, 41: what clone, rename, move and drop do to rows, databases, folders and sessions: as docs/tenants.md says', async () => {
  const made = await makeFleet(databases, { count: 1 });
  made.config.servers['eu'] = { name: 'eu', url: testServer('postgres') };
  const [tenant] = made.tenants;
  const old = tenant?.database ?? '';
  await made.write({ [`tenants/${old}/1_meters.sql`]: CORE['core/1_meters.sql'] });
  await using fleet = new Fleet(made.config);
  await fleet.up(all);
  const where = async () => {
    const db = await fleet.connect(1);
    const { rows } = await sql<{ d: string }>`select current_database()::text as d`.execute(db);
    return rows[0]?.d;
  };
  const before = await stateOf(made, '1', old);
  expect(before).toMatchObject({ database: true, folder: true });
  expect(await where()).toBe(old);

  const input = { name: 'Copy', database: databases.adopt(`${databases.prefix}copy2`).name };
  expect(await failure(fleet.clone(1, input))).toMatchObject({ code: 'DATABASE_IN_USE' });
  const copy = (await fleet.clone(1, { ...input, disconnect: true })).tenant;
  expect(copy).toMatchObject({ status: 'active', server: 'default' });
  expect(await stateOf(made, '1', old)).toEqual(before);
  expect(await where()).toBe(old);

  await fleet.rename(1, 'Renamed');
  expect(await stateOf(made, '1', old)).toMatchObject({ database: true, folder: true });
  expect(await where()).toBe(old);

  expect(await failure(fleet.drop(1, { confirm: 'Renamed' }))).toMatchObject({ code: 'DATABASE_IN_USE' });
  await fleet.hold(1, { reason: 'moving' });
  // The library closes its connections as soon as it hears of the hold.
  await vi.waitFor(() => expect(fleet.stats().open).toBe(0), { timeout: 5000, interval: 10 });
  const there = await databases.clone(old, 'there');
  const { tenant: moved } = await fleet.move(1, { server: 'eu', database: there.name });
  expect(moved).toMatchObject({ name: 'Renamed', server: 'eu', database: there.name, status: 'hold' });
  expect(await failure(fleet.connect(1))).toMatchObject({ code: 'TENANT_SUSPENDED' });
  await fleet.release(1);
  expect(await where()).toBe(there.name);
  expect(
    await databases.query(`select datallowconn as open from pg_database where datname = '${old}'`),
  ).toEqual([{ open: false }]);
  expect(await stateOf(made, '1', old)).toMatchObject({ database: true, folder: false });
  expect(await stateOf(made, '1', there.name)).toMatchObject({ database: true, folder: true });

  expect(await stateOf(made, copy.id, input.database)).toMatchObject({ folder: true });
  const aside = join(made.config.migrations.tenants, '.dropped', input.database);
  expect((await fleet.drop(copy.id, { confirm: 'Copy' })).notices).toEqual([`its folder is now ${aside}`]);
  expect(existsSync(join(aside, '1_meters.sql'))).toBe(true);
  expect(await stateOf(made, copy.id, input.database)).toMatchObject({
    rows: [],
    database: false,
    folder: false,
  });
});
