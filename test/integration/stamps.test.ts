import { expect, test } from 'vitest';
import type { Config } from '../../src/config/define.ts';
import { status } from '../../src/fleet/verbs/status.ts';
import { up } from '../../src/fleet/verbs/up.ts';
import { testServer, withDatabases } from '../helpers/database.ts';
import { addTenants, makeFleet, type TestFleet } from '../helpers/fleet.ts';
import { type Proxy, startProxy } from '../helpers/proxy.ts';

const databases = withDatabases();

/** The fleet's configuration with a proxy in front of the server of the tenants, which counts connections. */
async function behindProxy(fleet: TestFleet): Promise<{ config: Config; proxy: Proxy }> {
  const proxy = await startProxy(testServer());
  const url = proxy.through(testServer());
  return { config: { ...fleet.config, servers: { default: { name: 'default', url } } }, proxy };
}

test('engine 30: status over stamped tenants is one query on the server, and no connection to a tenant', async () => {
  const fleet = await makeFleet(databases, { count: 4 });
  await up(fleet.config, { tenants: ['1', '2'] });
  await up(fleet.config, { tenants: ['3', '4'] }, { to: '1' });
  const { config, proxy } = await behindProxy(fleet);
  await using _ = proxy;
  const report = await status(config, { all: true });
  expect(proxy.counts.connections).toBe(1);
  expect(report).toMatchObject({ stamped: 4, counts: { total: 4, current: 2, pending: 2 } });
  expect(report.cohorts).toMatchObject([
    { head: '2_note', applied: 2, pending: 0, count: 2 },
    { head: '1_meters', applied: 1, pending: 1, count: 2 },
  ]);

  const deep = await status(config, { all: true }, { deep: true });
  expect(deep).toMatchObject({ stamped: 0, counts: { current: 2, pending: 2 } });
  expect(proxy.counts.connections).toBe(1 + 1 + 4);
});

test('engine 30: a missing, foreign or unparsable stamp, and one of other files, means: connect and look', async () => {
  const fleet = await makeFleet(databases, { count: 5 });
  await up(fleet.config, { all: true });
  const comment = (at: number, text: string) =>
    fleet.of(fleet.tenants[at], `comment on database ${fleet.tenants[at]?.database} is ${text}`);
  await comment(0, 'null');
  await comment(1, `'[mpm-migrate:3:2:${'0'.repeat(64)}]'`);
  await comment(2, `'[mpm-migrate:2:two]'`);
  await comment(3, `'[mpm-migrate:2:2:${'0'.repeat(64)}]'`);
  const { config, proxy } = await behindProxy(fleet);
  await using _ = proxy;
  expect(await status(config, { all: true })).toMatchObject({ stamped: 1, counts: { current: 5 } });
  expect(proxy.counts.connections).toBe(1 + 4);

  await fleet.write({ 'core/1_meters.sql': 'create table meters (id bigint primary key);' });
  const changed = await status(config, { all: true });
  expect(changed).toMatchObject({ stamped: 0, counts: { drifted: 5 } });
});

test('fleet 7: a database that is not on the server is told without a connection to it', async () => {
  const fleet = await makeFleet(databases, { count: 1 });
  await up(fleet.config, { all: true });
  await addTenants(fleet, [
    { id: '7', name: 'gone', database: `${databases.prefix}gone` },
    { id: '8', name: 'gone-too', database: `${databases.prefix}gone_too` },
  ]);
  const { config, proxy } = await behindProxy(fleet);
  await using _ = proxy;
  const report = await status(config, { all: true });
  expect(proxy.counts.connections).toBe(1);
  expect(report.counts).toMatchObject({ current: 1, unreachable: 2 });
  expect(report.tenants?.[1]?.error).toMatchObject({
    code: 'DATABASE_MISSING',
    message: expect.stringMatching(/database "t\w+_gone" doesn.t exist on 127\.0\.0\.1:\d+/),
    hint: expect.stringContaining('tenant show '),
  });
});

test('engine 30: up --fast connects to nobody who is current, and to everybody else as always', async () => {
  const fleet = await makeFleet(databases, { count: 4 });
  await up(fleet.config, { all: true });
  const { config, proxy } = await behindProxy(fleet);
  await using _ = proxy;
  const fast = await up(config, { all: true }, { fast: true });
  expect(fast.counts).toMatchObject({ total: 4, current: 4 });
  expect(proxy.counts.connections).toBe(1);

  await fleet.of(fleet.tenants[2], `comment on database ${fleet.tenants[2]?.database} is null`);
  await fleet.write({ 'tenants/none/1_x.sql': 'select 1;' });
  const one = await up(config, { all: true }, { fast: true });
  expect(one.counts).toMatchObject({ current: 4 });
  expect(proxy.counts.connections).toBe(1 + 1 + 1);

  await fleet.write({ 'core/3_more.sql': 'create table more ();' });
  const toTwo = await up(config, { all: true }, { fast: true, to: '2' });
  expect(toTwo.counts).toMatchObject({ current: 4 });
  expect(proxy.counts.connections).toBe(3 + 1);
  expect((await up(config, { all: true }, { fast: true })).counts).toMatchObject({ migrated: 4 });
  for (const tenant of fleet.tenants) {
    expect(await fleet.historyOf(tenant)).toEqual(['1_meters', '2_note', '3_more']);
  }
});

test('engine 30: a stale stamp is believed by --fast and status alone', async () => {
  const fleet = await makeFleet(databases, { count: 2 });
  await up(fleet.config, { all: true });
  // As a dump of an older state that is restored into the database does.
  await fleet.of(fleet.tenants[0], "delete from mpm_migrate.history where name = '2_note'");
  await fleet.of(fleet.tenants[0], 'alter table meters drop note');
  expect((await status(fleet.config, { all: true })).counts).toMatchObject({ current: 2 });
  expect((await up(fleet.config, { all: true }, { fast: true })).counts).toMatchObject({ current: 2 });
  expect((await status(fleet.config, { all: true }, { deep: true })).counts).toMatchObject({ drifted: 1 });
  expect((await up(fleet.config, { all: true })).counts).toMatchObject({ refused: 1, current: 1 });
});

test('fleet 21: the matrix shows in which migrations tenants differ', async () => {
  const fleet = await makeFleet(databases, { count: 4 });
  await up(fleet.config, { tenants: ['1', '2'] });
  await up(fleet.config, { tenants: ['3'] }, { to: '1' });
  await fleet.write({ [`tenants/${fleet.tenants[3]?.database}/9_own.sql`]: 'create table own ();' });
  await up(fleet.config, { tenants: ['4'] });
  const { matrix } = await status(fleet.config, { all: true }, { matrix: true });
  expect(matrix).toEqual({
    migrations: ['1_meters', '2_note', '9_own'],
    groups: [
      { count: 2, tenants: [expect.anything(), expect.anything()], states: ['applied', 'applied', null] },
      { count: 1, tenants: [expect.objectContaining({ id: '3' })], states: ['applied', 'pending', null] },
      { count: 1, tenants: [expect.objectContaining({ id: '4' })], states: [null, null, 'applied'] },
    ],
    others: 0,
  });
});
