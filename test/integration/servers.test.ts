import { afterAll, beforeAll, expect, test } from 'vitest';
import pg from 'pg';
import type { RunEvent } from '../../src/fleet/events.ts';
import { Fleet } from '../../src/fleet/fleet.ts';
import { status } from '../../src/fleet/verbs/status.ts';
import { up } from '../../src/fleet/verbs/up.ts';
import type { EmbeddedServer } from '../../src/postgres/embedded/embedded.ts';
import { withDatabases } from '../helpers/database.ts';
import { addTenants, makeFleet, type TestFleet } from '../helpers/fleet.ts';
import { startServer } from '../helpers/server.ts';

const databases = withDatabases();
let small: EmbeddedServer;

beforeAll(async () => {
  const settings = { max_connections: '8', superuser_reserved_connections: '0' };
  small = await startServer({ settings });
}, 90_000);
afterAll(() => small.stop());

async function onSmall<R extends object>(text: string): Promise<R[]> {
  const client = new pg.Client({ connectionString: small.url });
  await client.connect();
  const { rows } = await client.query<R>(text);
  await client.end();
  return rows;
}

/** Two tenants on the test's server, and so many on the small one. */
async function onTwoServers(label: string, count: number): Promise<TestFleet> {
  const fleet = await makeFleet(databases, { count: 2 });
  const far = Array.from({ length: count }, (_, at) => ({
    id: String(100 + at),
    name: `far-${at}`,
    database: `${label}_${at}`,
  }));
  await addTenants(fleet, far);
  await fleet.central("update company_databases set server = 'small' where company_id >= 100");
  for (const { database } of far) await onSmall(`create database ${database}`);
  const servers = { ...fleet.config.servers, small: { name: 'small', url: small.url } };
  return { ...fleet, config: { ...fleet.config, servers } };
}

test('fleet 3: each server has its own limit, and one without room for all has all of them migrated', async () => {
  const fleet = await onTwoServers('full', 14);
  const most = { default: 0, small: 0 };
  const active = { default: new Set<string>(), small: new Set<string>() };
  const onEvent = (event: RunEvent) => {
    if (event.type === 'tenant-started') active[event.tenant.server as 'small'].add(event.tenant.id);
    if (event.type === 'tenant-finished')
      active[event.result.tenant.server as 'small'].delete(event.result.tenant.id);
    for (const server of ['default', 'small'] as const)
      most[server] = Math.max(most[server], active[server].size);
  };
  // More lanes than the server has connections: it answers 53300, and is asked less.
  const report = await up(fleet.config, { all: true }, { concurrency: 14, onEvent });
  expect(report.failures).toEqual([]);
  expect(report.counts).toMatchObject({ total: 16, migrated: 16 });
  const [tries] = await fleet.central<{ most: number }>(
    'select max(attempts) as most from mpm_migrate.run_tenants',
  );
  expect(tries?.most).toBeGreaterThan(1);
  expect(most.default).toBeLessThanOrEqual(2);

  // On its own it takes a quarter of what is free.
  const quiet = await up(fleet.config, { all: true });
  expect(quiet.counts).toMatchObject({ current: 16 });
  expect(await status(fleet.config, { all: true })).toMatchObject({ stamped: 16, counts: { current: 16 } });
});

test('fleet 3: a server that goes down in the middle: its tenants fail quickly and grouped, the rest is done', async () => {
  const fleet = await onTwoServers('down', 10);
  await fleet.write({ 'core/3_slow.sql': 'select pg_sleep(0.3);' });
  const config = { ...fleet.config, pace: { ...fleet.config.pace, retries: 2 } };
  let stopping: Promise<void> | undefined;
  const report = await up(
    config,
    { all: true },
    {
      concurrency: 2,
      onEvent: (event) => {
        if (event.type === 'tenant-finished' && event.result.tenant.server === 'small')
          stopping ??= small.stop();
      },
    },
  );
  await stopping;
  expect(report.counts.total).toBe(12);
  expect(report.counts.migrated).toBeGreaterThanOrEqual(3);
  expect(report.counts.failed).toBe(12 - report.counts.migrated);
  // What was in work lost its connection, all others met the same refusal.
  expect(report.failures.length).toBeLessThanOrEqual(4);
  expect(report.failures[0]).toMatchObject({ error: { code: 'CONNECTION' } });
  for (const tenant of fleet.tenants)
    expect(await fleet.historyOf(tenant)).toEqual(['1_meters', '2_note', '3_slow']);
}, 90_000);

test('where a directUrl is given, only sessions go through the pooler', async () => {
  const made = await makeFleet(databases, { count: 2 });
  await made.write({
    'core/3_index.sql': '-- migrate:up transaction:false\ncreate index concurrently on meters (id);',
  });
  const { url } = made.config.servers['default']!;
  // A pooler that lets nobody in.
  const server = { name: 'default', url: 'postgres://nobody@127.0.0.1:1/postgres', directUrl: url };
  const config = { ...made.config, servers: { default: server } };
  await using fleet = new Fleet(config);
  expect((await fleet.up({ all: true })).counts).toMatchObject({ migrated: 2, total: 2 });
  const { tenant } = await fleet.provision({ name: `${databases.prefix}Direct` });
  databases.adopt(tenant.database);
  expect((await fleet.status({ all: true })).counts).toMatchObject({ current: 3 });
  const db = await fleet.connect<{ meters: { id: number } }>(tenant.id);
  await expect(db.selectFrom('meters').selectAll().execute()).rejects.toMatchObject({ code: 'CONNECTION' });
});
