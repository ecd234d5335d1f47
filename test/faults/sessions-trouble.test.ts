import { setTimeout as sleep } from 'node:timers/promises';
import { sql, type Kysely } from 'kysely';
import { expect, test, vi } from 'vitest';
import { Fleet } from '../../src/fleet/fleet.ts';
import { testServer, withDatabases } from '../helpers/database.ts';
import { startProxy } from '../helpers/proxy.ts';
import { openSessions } from '../helpers/sessions.ts';

/** In milliseconds: a slow machine is no fault. */
const PATIENT = 30_000;
const databases = withDatabases();

const databaseOf = async (db: Kysely<unknown>): Promise<string | undefined> =>
  (await sql<{ name: string }>`select current_database() as name`.execute(db)).rows[0]?.name;

const kill = (database: string | undefined, where = 'true') =>
  databases.query(
    `select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = '${database}' and application_name like 'mpm-migrate/%' and ${where}`,
  );

const connectionsTo = async (database: string | undefined): Promise<number> => {
  const rows = await databases.query(
    `select from pg_stat_activity where datname = '${database}' and application_name like 'mpm-migrate/%'`,
  );
  return rows.length;
};

const outcome = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => 'done',
    (error: { code?: string; message: string }) => error.code ?? error.message,
  );

test('a connection killed while idle is replaced; the process does not notice', async () => {
  const { made, fleet } = await openSessions(databases, { count: 1 });
  const [tenant] = made.tenants;
  const db = await fleet.connect(1);
  expect(await databaseOf(db)).toBe(tenant?.database);
  await kill(tenant?.database);
  await vi.waitFor(() => expect(fleet.stats().open).toBe(0));
  expect(await databaseOf(db)).toBe(tenant?.database);
  expect(fleet.stats()).toMatchObject({ open: 1, opened: 2 });
});

test('a connection killed in use fails its query, and is not used again', async () => {
  const { made, fleet } = await openSessions(databases, { count: 1, sessions: { perTenant: 1 } });
  const [tenant] = made.tenants;
  const db = await fleet.connect(1);
  const running = outcome(sql`select pg_sleep(20)`.execute(db));
  const waiting = databaseOf(db);
  await databases.waitFor("state = 'active' and query like '%pg_sleep(20)%'");
  expect(await connectionsTo(tenant?.database)).toBe(1);
  await kill(tenant?.database, "state = 'active'");
  expect(await running).toBe('57P01');
  expect(await waiting).toBe(tenant?.database);
  const transaction = db.transaction().execute(async (inside) => {
    await kill(tenant?.database);
    await databaseOf(inside);
  });
  expect(await outcome(transaction)).not.toBe('done');
  expect(await databaseOf(db)).toBe(tenant?.database);
  expect(fleet.stats()).toMatchObject({ open: 1, inUse: 0, waiting: 0 });
});

test('fleet 18: a tenant held while a session is open is refused at once; released, it is served again', async () => {
  const { made, fleet } = await openSessions(databases, { count: 2, sessions: { ttl: 60_000 } });
  const db = await fleet.connect(1);
  await databaseOf(db);
  const slow = sql`select pg_sleep(0.5)`.execute(db);
  await databases.waitFor("query like '%pg_sleep(0.5)%'");
  await made.central("update company_databases set status = 'hold', reason = 'unpaid' where company_id = 1");
  await vi.waitFor(async () => expect(await outcome(databaseOf(db))).toBe('TENANT_SUSPENDED'), PATIENT);
  expect(await outcome(fleet.connect(1))).toBe('TENANT_SUSPENDED');
  // What was in work ends; then nothing is open there.
  expect(await outcome(slow)).toBe('done');
  await vi.waitFor(() => expect(fleet.stats().open).toBe(0));
  expect(await connectionsTo(made.tenants[0]?.database)).toBe(0);
  expect(await outcome(fleet.connect(2))).toBe('done');
  await made.central("update company_databases set status = 'active', reason = null where company_id = 1");
  await vi.waitFor(async () => expect(await outcome(databaseOf(db))).toBe('done'), PATIENT);
});

test('fleet 18: a tenant that was moved is served where it is now, by sessions that are open too', async () => {
  const { made, fleet: first } = await openSessions(databases, { count: 1 });
  await first.close();
  const [tenant] = made.tenants;
  await using proxy = await startProxy(testServer());
  const other = { name: 'other', url: proxy.through(made.config.servers['default']!.url) };
  const servers = { ...made.config.servers, other };
  const copy = await databases.clone(tenant!.database, 'moved');
  await using fleet = new Fleet({
    ...made.config,
    servers,
    sessions: { ...made.config.sessions, ttl: 60_000 },
  });
  const db = await fleet.connect(1);
  expect(await databaseOf(db)).toBe(tenant?.database);
  await made.central(
    `update company_databases set server = 'other', database_name = '${copy.name}' where company_id = 1`,
  );
  await vi.waitFor(async () => expect(await databaseOf(db)).toBe(copy.name), PATIENT);
  expect(await connectionsTo(tenant?.database)).toBe(0);
  expect(proxy.counts.connections).toBe(1);
  expect(fleet.stats().servers).toEqual({ other: { connections: 10, open: 1 } });
});

test('fleet 18: without notifications a change takes effect after the time to live', async () => {
  const { made } = await openSessions(databases, { count: 1 });
  const tenants = {
    query:
      'select company_id as id, database_name as database, status, company_id::text as name from company_databases',
  };
  await made.central('drop function mpm_migrate.tell_tenant cascade');
  await using fleet = new Fleet({
    ...made.config,
    tenants,
    sessions: { ...made.config.sessions, ttl: 1500 },
  });
  const db = await fleet.connect(1);
  await databaseOf(db);
  await made.central("update company_databases set status = 'hold'");
  expect(await outcome(databaseOf(db))).toBe('done');
  await vi.waitFor(async () => expect(await outcome(databaseOf(db))).toBe('TENANT_SUSPENDED'), PATIENT);
  await vi.waitFor(() => expect(fleet.stats().open).toBe(0));
});

test('fleet 18: the connection that listens comes back after it was lost', async () => {
  const { made, fleet } = await openSessions(databases, { count: 1, sessions: { ttl: 600_000 } });
  const [{ name } = { name: '' }] = await made.central<{ name: string }>('select current_database() as name');
  const db = await fleet.connect(1);
  await databaseOf(db);
  for (const status of ['hold', 'active', 'hold']) {
    await kill(name);
    await sleep(50);
    const before = status === 'hold' ? 'done' : 'TENANT_SUSPENDED';
    expect(await outcome(databaseOf(db))).toBe(before);
    await made.central(`update company_databases set status = '${status}'`);
    const after = status === 'hold' ? 'TENANT_SUSPENDED' : 'done';
    await vi.waitFor(async () => expect(await outcome(databaseOf(db))).toBe(after), PATIENT);
  }
});

test('fleet 18: while the central database is away, what was known serves on; strangers are told', async () => {
  const { made } = await openSessions(databases, { count: 2 });
  const proxy = await startProxy(testServer());
  await using fleet = new Fleet({
    ...made.config,
    central: { url: proxy.through(made.config.central.url) },
    sessions: { ...made.config.sessions, ttl: 50 },
  });
  const db = await fleet.connect(1);
  expect(await databaseOf(db)).toBe(made.tenants[0]?.database);
  await proxy.stop();
  await sleep(100);
  expect(await databaseOf(db)).toBe(made.tenants[0]?.database);
  expect(await outcome(fleet.connect(2))).toBe('CONNECTION');
});

test('a database that was dropped is an error of its own tenant', async () => {
  const { made, fleet } = await openSessions(databases, { count: 2 });
  const [gone, stays] = made.tenants;
  const db = await fleet.connect(1);
  await databaseOf(db);
  await databases.query(`drop database "${gone?.database}" with (force)`);
  await vi.waitFor(async () => expect(await outcome(databaseOf(db))).toBe('DATABASE_MISSING'));
  expect(await databaseOf(await fleet.connect(2))).toBe(stays?.database);
  expect(fleet.stats()).toMatchObject({ open: 1, waiting: 0 });
});

test('fleet 18: when all are in use the caller waits, and then gets a clear error; an abort ends the waiting', async () => {
  const { made, fleet } = await openSessions(databases, {
    count: 3,
    sessions: { connections: 2, waitTimeout: 300 },
  });
  const dbs = await Promise.all([1, 2, 3].map((id) => fleet.connect(id)));
  let free = () => {};
  const until = new Promise<void>((resolve) => (free = resolve));
  const held = dbs.slice(0, 2).map((db) =>
    db.transaction().execute(async (inside) => {
      await databaseOf(inside);
      await until;
      return databaseOf(inside);
    }),
  );
  await vi.waitFor(() => expect(fleet.stats().inUse).toBe(2));
  const started = performance.now();
  await expect(databaseOf(dbs[2]!)).rejects.toMatchObject({
    code: 'SESSION_TIMEOUT',
    message: expect.stringContaining('2 of 2 are in use'),
  });
  expect(performance.now() - started).toBeGreaterThan(250);
  const controller = new AbortController();
  const aborted = fleet.connect(3, { signal: controller.signal }).then(databaseOf);
  setTimeout(() => controller.abort(), 50);
  expect(await outcome(aborted)).toBe('INTERRUPTED');
  // In use is never closed: both go on in their own databases.
  free();
  expect(await Promise.all(held)).toEqual(made.tenants.slice(0, 2).map(({ database }) => database));
  expect(await databaseOf(dbs[2]!)).toBe(made.tenants[2]?.database);
  expect(fleet.stats()).toMatchObject({ peak: 2, evicted: 1, waiting: 0 });
});

test('fleet 18: each server has a ceiling of its own; the least recently used goes first', async () => {
  const { made } = await openSessions(databases, { count: 4 });
  const { url } = made.config.servers['default']!;
  const servers = {
    default: { name: 'default', url },
    small: { name: 'small', url: url.replace(/\?|$/, '?connect_timeout=5&'), maxConnections: 1 },
  };
  await made.central("update company_databases set server = 'small' where company_id > 2");
  await using fleet = new Fleet({
    ...made.config,
    servers,
    sessions: { ...made.config.sessions, connections: 3 },
  });
  const ask = async (id: number) => databaseOf(await fleet.connect(id));
  for (const id of [1, 2, 3]) await ask(id);
  await sleep(50);
  // Only a connection of the same server makes room there.
  await ask(4);
  expect(fleet.stats()).toMatchObject({
    open: 3,
    evicted: 1,
    servers: { default: { connections: 3, open: 2 }, small: { connections: 1, open: 1 } },
  });
  expect(await connectionsTo(made.tenants[2]?.database)).toBe(0);
  await ask(1);
  expect(fleet.stats().opened).toBe(4);
});

test('idle connections are closed after a while', async () => {
  const { fleet } = await openSessions(databases, { count: 1, sessions: { idleTimeout: 200 } });
  await databaseOf(await fleet.connect(1));
  expect(fleet.stats().idle).toBe(1);
  await vi.waitFor(() => expect(fleet.stats().open).toBe(0), 3000);
});

test('close waits for what runs, refuses what waits and what comes; its signal cuts', async () => {
  const { made, fleet } = await openSessions(databases, { count: 1, sessions: { perTenant: 1 } });
  const db = await fleet.connect(1);
  const running = sql<{ one: number }>`select 1 as one, pg_sleep(0.4)`.execute(db);
  const waiting = outcome(databaseOf(db));
  await vi.waitFor(() => expect(fleet.stats()).toMatchObject({ inUse: 1, waiting: 1 }));
  const closing = fleet.close();
  expect(await waiting).toBe('FLEET_CLOSED');
  expect((await running).rows[0]?.one).toBe(1);
  await closing;
  expect(await outcome(fleet.connect(1))).toBe('FLEET_CLOSED');
  expect(await outcome(databaseOf(db))).toBe('FLEET_CLOSED');
  expect(await outcome(fleet.resolve({ email: 'a@b.example' }))).toBe('FLEET_CLOSED');
  expect(await outcome(fleet.run(1, () => 1))).toBe('FLEET_CLOSED');
  await fleet.close();

  const cut = new Fleet(made.config);
  const stuck = outcome(sql`select pg_sleep(30)`.execute(await cut.connect(1)));
  await vi.waitFor(() => expect(cut.stats().inUse).toBe(1));
  await sleep(100);
  await cut.close({ signal: AbortSignal.timeout(100) });
  expect(await stuck).not.toBe('done');
  await databases.query(
    `select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = '${made.tenants[0]?.database}' and query like '%pg_sleep(30)%' and application_name like 'mpm-migrate/%'`,
  );
});
