import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'kysely';
import { expect, test, vi } from 'vitest';
import { Fleet } from '../../src/fleet/fleet.ts';
import { rowsIn } from '../helpers/engine.ts';
import { withDatabases } from '../helpers/database.ts';
import { openSessions, type Owned } from '../helpers/sessions.ts';

/** What is remembered is looked at again after a while. */
const PATIENT = { timeout: 30_000 };
const databases = withDatabases();

const databaseOf = async (
  db: Parameters<ReturnType<typeof sql>['execute']>[0],
): Promise<string | undefined> =>
  (await sql<{ name: string }>`select current_database() as name`.execute(db)).rows[0]?.name;

test('fleet 17: connect gives Kysely on the tenant’s own database, by number or text', async () => {
  const { made, fleet } = await openSessions(databases);
  for (const [at, tenant] of made.tenants.entries()) {
    for (const id of [at + 1, BigInt(at + 1), tenant.id]) {
      const db = await fleet.connect<Owned>(id);
      expect(await databaseOf(db)).toBe(tenant.database);
      expect(await db.selectFrom('owner').select('id').execute()).toEqual([{ id: at + 1 }]);
    }
  }
  // One connection each, used again.
  expect(fleet.stats()).toMatchObject({ open: 3, idle: 3, inUse: 0, databases: 3, opened: 3, evicted: 0 });
});

test('fleet 17: transactions work; one that was left open goes with its connection', async () => {
  const { fleet } = await openSessions(databases, { count: 1 });
  const db = await fleet.connect<Owned>(1);
  const inserting = db.transaction().execute(async (transaction) => {
    await transaction.insertInto('owner').values({ id: 7 }).execute();
    throw new Error('no');
  });
  await expect(inserting).rejects.toThrow('no');
  await sql.raw('begin; insert into owner values (8)').execute(db);
  expect(await db.selectFrom('owner').select('id').execute()).toEqual([{ id: 1 }]);
  expect(fleet.stats().opened).toBe(2);
});

test('fleet 17: destroying one instance takes nothing from another; await using works', async () => {
  const { fleet } = await openSessions(databases, { count: 1 });
  const db = await fleet.connect<Owned>(1);
  {
    await using mine = await fleet.connect<Owned>(1);
    expect(await mine.selectFrom('owner').select('id').execute()).toHaveLength(1);
  }
  expect(await db.selectFrom('owner').select('id').execute()).toHaveLength(1);
  expect(fleet.stats().opened).toBe(1);
});

test('fleet 17: resolve finds the tenant of a user, whatever the case; never a guess', async () => {
  const { made, fleet } = await openSessions(databases);
  await made.central(
    `insert into database_proxies (email, fk_company_id) values ('Amina@Acme.example', 2), ('o''neil@x.example', 3)`,
  );
  expect(await fleet.resolve({ email: ' amina@ACME.example ' })).toMatchObject({
    id: '2',
    name: 'company-2',
    database: made.tenants[1]?.database,
    status: 'active',
  });
  expect((await fleet.resolve({ email: "O'Neil@x.example" })).id).toBe('3');
  for (const email of ['nobody@acme.example', '', "x' or true --", 'a\0b']) {
    await expect(fleet.resolve({ email })).rejects.toMatchObject({ code: 'UNKNOWN_USER', subject: email });
  }
  await made.central('drop index database_proxies_email');
  await made.central(`insert into database_proxies (email, fk_company_id) values ('AMINA@acme.example', 3)`);
  await expect(fleet.resolve({ email: 'amina@acme.example' })).rejects.toMatchObject({
    code: 'CENTRAL_INVALID',
  });
});

test('fleet 17: products with tables of their own say where users are', async () => {
  const { made } = await openSessions(databases, { count: 2 });
  await made.central(`create schema app; create table app.users ("E-mail" text, org bigint);
insert into app.users values ('b@two.example', 2), ('nobody@gone.example', null)`);
  const tenants = {
    query: "select company_id as id, 'c' as name, database_name as database from company_databases",
  };
  const withUsers = (users: object) => new Fleet({ ...made.config, tenants, ...users });
  const mapped = [
    { users: { table: 'app.users', columns: { email: 'E-mail', tenant: 'org' } } },
    { users: { query: 'select org from app.users where lower("E-mail") = lower($1)' } },
  ];
  for (const users of mapped) {
    await using fleet = withUsers(users);
    expect((await fleet.resolve({ email: 'B@two.example' })).id).toBe('2');
    await expect(fleet.resolve({ email: 'nobody@gone.example' })).rejects.toMatchObject({
      code: 'UNKNOWN_USER',
    });
    expect(await databaseOf(await fleet.connect(2))).toBe(made.tenants[1]?.database);
  }
  await using without = withUsers({});
  await expect(without.resolve({ email: 'b@two.example' })).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    subject: 'users',
  });
  await using wrong = withUsers({ users: { table: 'app.nope', columns: { email: 'a', tenant: 'b' } } });
  await expect(wrong.resolve({ email: 'b@two.example' })).rejects.toMatchObject({ code: 'CENTRAL_INVALID' });
});

test('fleet 17: run makes a tenant current for what it awaits; nested, in parallel, and never outside', async () => {
  const { made, fleet } = await openSessions(databases);
  const here = async () => {
    await sleep(Math.random() * 20);
    const { tenant, db } = fleet.current();
    return [tenant.id, await databaseOf(db)];
  };
  const at = (index: number) => [String(index), made.tenants[index - 1]?.database];
  expect(() => fleet.current()).toThrow(expect.objectContaining({ code: 'NO_CURRENT_TENANT' }));
  await fleet.run(1, async ({ tenant }) => {
    expect(tenant.id).toBe('1');
    expect(await here()).toEqual(at(1));
    expect(await fleet.run('2', here)).toEqual(at(2));
    expect(await here()).toEqual(at(1));
    // Both at once inside a third.
    expect(await Promise.all([fleet.run(2, here), fleet.run(3, here), here()])).toEqual([
      at(2),
      at(3),
      at(1),
    ]);
  });
  const many = Array.from({ length: 60 }, (_, index) => (index % 3) + 1);
  expect(await Promise.all(many.map((id) => fleet.run(id, here)))).toEqual(many.map(at));
  expect(() => fleet.current()).toThrow(expect.objectContaining({ code: 'NO_CURRENT_TENANT' }));
  // Another fleet's tenant is not this one's.
  await using other = new Fleet(made.config);
  await fleet.run(1, () => expect(() => other.current()).toThrow('there is no current tenant'));
});

test('fleet 17: what fn throws inside run comes out, and gives everything back', async () => {
  const { fleet } = await openSessions(databases, { count: 1 });
  const thrown = new Error('mine');
  await expect(
    fleet.run(1, async () => {
      await databaseOf(fleet.current().db);
      throw thrown;
    }),
  ).rejects.toBe(thrown);
  await expect(
    fleet.run(1, () => {
      throw thrown;
    }),
  ).rejects.toBe(thrown);
  expect(() => fleet.current()).toThrow('there is no current tenant');
  expect(fleet.stats()).toMatchObject({ inUse: 0, waiting: 0 });
});

test('fleet 18: unknown, suspended and half-provisioned tenants are refused, each with its code', async () => {
  const { made, fleet } = await openSessions(databases, { count: 4 });
  await made.central(`update company_databases set status = 'hold', reason = 'unpaid' where company_id = 1;
update company_databases set status = 'provisioning' where company_id = 2;
update company_databases set status = 'failed', reason = 'no disk' where company_id = 3;
update company_databases set server = 'mars' where company_id = 4;
insert into companies (id, name) values (5, 'without')`);
  const refusal = (id: string | number) =>
    fleet.connect(id).then(
      () => 'let in',
      ({ code, message }) => `${code} ${message}`,
    );
  expect(await refusal(1)).toBe('TENANT_SUSPENDED company-1 (1) is on hold: unpaid');
  expect(await refusal(2)).toMatch(/^TENANT_NOT_READY the creation of company-2 \(2\)/);
  expect(await refusal(3)).toMatch(/^TENANT_NOT_READY .*: no disk$/);
  expect(await refusal(4)).toMatch(/^UNKNOWN_SERVER/);
  expect(await refusal(5)).toMatch(/^DATABASE_NAME/);
  for (const id of [99, -1, 'company-1', made.tenants[0]!.database, '', '1 or true', '9'.repeat(30), 'a\0']) {
    expect(await refusal(id)).toMatch(/^UNKNOWN_TENANT/);
  }
  await expect(fleet.run(1, () => 'ran')).rejects.toMatchObject({ code: 'TENANT_SUSPENDED' });
  expect(fleet.stats().opened).toBe(0);
});

test('fleet 18: a tenant whose row leads to the central database, or to an earlier tenant’s, gets no session', async () => {
  const { made, fleet } = await openSessions(databases, { count: 2 });
  const [{ name: central } = { name: '' }] = await made.central<{ name: string }>(
    'select current_database() as name',
  );
  await made.central('drop index company_databases_server_database');
  await made.central(`update company_databases set database_name = '${central}' where company_id = 1`);
  await expect(fleet.connect(1)).rejects.toMatchObject({ code: 'WRONG_DATABASE' });
  await made.central(
    `update company_databases set database_name = '${made.tenants[1]!.database}' where company_id = 1`,
  );
  await expect(fleet.connect(2)).rejects.toMatchObject({ code: 'CENTRAL_INVALID' });
  // Under another host name the row cannot tell; the database itself does.
  const elsewhere = new URL(made.config.servers['default']!.url);
  elsewhere.hostname = elsewhere.hostname === 'localhost' ? '127.0.0.1' : 'localhost';
  const servers = {
    ...made.config.servers,
    alias: { name: 'alias', url: elsewhere.href.replace(/localhost/, 'LOCALHOST') },
  };
  await made.central(
    `update company_databases set server = 'alias', database_name = '${central}' where company_id = 1`,
  );
  await using aliased = new Fleet({ ...made.config, servers });
  const asked = aliased.connect(1).then(databaseOf);
  await expect(asked).rejects.toMatchObject({ code: 'WRONG_DATABASE' });
  await vi.waitFor(() => expect(aliased.stats().open).toBe(0));
});

test('fleet 19: atLeast refuses a tenant whose head is older, and lets it in once it was migrated', async () => {
  const { made, fleet } = await openSessions(databases, { count: 2, sessions: { ttl: 300 } });
  await expect(fleet.connect(1, { atLeast: '2' })).rejects.toMatchObject({
    code: 'TENANT_BEHIND',
    message: 'company-1 (1) has no migrations; this release needs 2',
    hint: 'mpm-migrate up --tenant 1',
  });
  const opened = await import('../../src/fleet/verbs/up.ts');
  await made.of(made.tenants[0], 'drop table owner');
  await opened.up(made.config, { tenants: ['1'] }, { to: '1_meters' });
  const why = (atLeast: string) =>
    fleet.connect(1, { atLeast }).then(
      () => 'let in',
      ({ message }) => message,
    );
  await expect.poll(() => why('2'), PATIENT).toBe('company-1 (1) is at 1_meters; this release needs 2');
  expect(await why('1')).toBe('let in');
  expect(await why('1_meters')).toBe('let in');
  expect(await why('0001')).toBe('let in');
  await opened.up(made.config, { tenants: ['1'] });
  await expect.poll(() => why('2_note'), PATIENT).toBe('let in');
  const ran = () => fleet.run(1, () => 'ran', { atLeast: '2' }).catch(({ message }: Error) => message);
  await expect.poll(ran, PATIENT).toBe('ran');
  expect(await why('20260820140000')).toContain('is at 2_note');
  await expect(fleet.connect(1, { atLeast: '' })).rejects.toMatchObject({ code: 'USAGE' });
});

test('fleet 19: the guard reads a history once, however many ask', async () => {
  const { made, fleet } = await openSessions(databases, { count: 1, sessions: { perTenant: 2 } });
  const { up } = await import('../../src/fleet/verbs/up.ts');
  await made.of(made.tenants[0], 'drop table owner');
  await up(made.config, { all: true });
  const reads = async () => {
    const [row] = await rowsIn<{ reads: string }>(
      made.config.central.url.replace(/\/[^/]*$/, `/${made.tenants[0]!.database}`),
      "select pg_stat_get_numscans('mpm_migrate.history'::regclass) as reads",
    );
    return Number(row?.reads);
  };
  await fleet.connect(1, { atLeast: '2' });
  await sleep(1200);
  const before = await reads();
  await Promise.all(Array.from({ length: 500 }, () => fleet.connect(1, { atLeast: '2' })));
  await sleep(1200);
  expect(await reads()).toBe(before);
});
