import { describe, expect, onTestFinished, test } from 'vitest';
import { startProxy } from '../helpers/proxy.ts';
import type { RunEvent } from '../../src/fleet/events.ts';
import { up } from '../../src/fleet/verbs/up.ts';
import { testServer, withDatabases } from '../helpers/database.ts';
import { addTenants, makeFleet } from '../helpers/fleet.ts';

const databases = withDatabases();

describe('up in trouble', () => {
  test('fleet 7: a missing database, the central database, an unknown server, a hold: each its own, the rest is done', async () => {
    const fleet = await makeFleet(databases, { count: 3 });
    const central = new URL(fleet.config.central.url).pathname.slice(1);
    await addTenants(fleet, [
      { id: '10', name: 'gone', database: `${databases.prefix}gone` },
      { id: '11', name: 'central', database: central },
      { id: '12', name: 'elsewhere', database: `${databases.prefix}elsewhere` },
    ]);
    await fleet.central("update company_databases set server = 'mars' where company_id = 12");
    await fleet.central(
      "update company_databases set status = 'hold', reason = 'audit' where company_id = 3",
    );
    const report = await up(fleet.config, { all: true });
    expect(report.counts).toMatchObject({ total: 6, migrated: 2, failed: 3, skipped: 1 });
    expect(report.skipped).toEqual([{ reason: 'on hold: audit', count: 1 }]);
    const codes = report.failures.map(({ error, tenants }) => [tenants[0]?.name, error.code]).toSorted();
    expect(codes).toEqual([
      ['central', 'WRONG_DATABASE'],
      ['elsewhere', 'UNKNOWN_SERVER'],
      ['gone', 'DATABASE_MISSING'],
    ]);
    for (const { error } of report.failures) expect(error.hint).toBeTruthy();
    expect(await fleet.central("select to_regclass('public.meters') as meters")).toEqual([{ meters: null }]);
  });

  test('a tenant row that reaches the central database by another name is noticed once connected', async () => {
    const fleet = await makeFleet(databases, { count: 1 });
    const central = new URL(fleet.config.central.url).pathname.slice(1);
    const other = new URL(testServer());
    other.hostname = other.hostname === 'localhost' ? '127.0.0.1' : 'localhost';
    await addTenants(fleet, [{ id: '11', name: 'central', database: central }]);
    await fleet.central("update company_databases set server = 'other' where company_id = 11");
    const servers = { ...fleet.config.servers, other: { name: 'other', url: other.href } };
    const report = await up({ ...fleet.config, servers }, { all: true });
    expect(report.counts).toMatchObject({ migrated: 1, failed: 1 });
    expect(report.failures[0]?.error.code).toBe('WRONG_DATABASE');
  });

  test('fleet 4: --fail-fast stops starting new ones; they are skipped, and --failed takes them up', async () => {
    const fleet = await makeFleet(databases, { count: 6, files: { 'core/1_bad.sql': 'select 1/0;' } });
    const report = await up(fleet.config, { all: true }, { failFast: true, concurrency: 1 });
    expect(report.counts).toMatchObject({ total: 6, failed: 1, skipped: 5 });
    await fleet.write({ 'core/1_bad.sql': 'select 1/1;' });
    expect((await up(fleet.config, { failed: 'last' })).counts).toMatchObject({ total: 6, migrated: 6 });
  });

  test('fleet 6: an abort lets those in work finish their migration, and the rest is told as not tried', async () => {
    const files = {
      'core/1_slow.sql': 'select pg_sleep(0.4);',
      'core/2_never.sql': 'create table never ();',
    };
    const fleet = await makeFleet(databases, { count: 4, files });
    const abort = new AbortController();
    const running = up(
      fleet.config,
      { all: true },
      {
        concurrency: 2,
        signal: abort.signal,
        onEvent: (event) => {
          if (event.type === 'migration-started') abort.abort();
        },
      },
    );
    const report = await running;
    expect(report).toMatchObject({ interrupted: true, counts: { total: 4, failed: 0, skipped: 4 } });
    const histories = await fleet.central('select outcome, applied from mpm_migrate.run_tenants');
    expect(histories).toHaveLength(4);
    const kept = (
      await Promise.all(fleet.tenants.map((tenant) => fleet.historyOf(tenant).catch(() => [])))
    ).flat();
    // The one that began, and the other one in work if it had begun by then; never the migration behind.
    expect(new Set(kept)).toEqual(new Set(['1_slow']));
    expect(kept.length).toBeLessThanOrEqual(2);
    const again = await up(fleet.config, { failed: 'last' });
    expect(again.counts).toMatchObject({ total: 4, migrated: 4 });
  });

  test('engine 19: a locked table is tried again behind the others', async () => {
    const fleet = await makeFleet(databases, { count: 3 });
    await up(fleet.config, { all: true }, { to: '1' });
    const [first] = fleet.tenants;
    const events: RunEvent[] = [];
    const blocker = fleet.of(first, 'begin; lock table meters; select pg_sleep(1); commit');
    await new Promise((resolve) => setTimeout(resolve, 200));
    const pace = { ...fleet.config.pace, lockTimeout: 200 };
    const report = await up(
      { ...fleet.config, pace },
      { all: true },
      { concurrency: 1, onEvent: (event) => void events.push(event) },
    );
    await blocker;
    expect(report.counts).toMatchObject({ migrated: 3, failed: 0 });
    const order = events.flatMap((event) => (event.type === 'tenant-finished' ? [event.result] : []));
    expect(order.map(({ tenant }) => tenant.id)).toEqual(['2', '3', '1']);
    expect(order[2]?.attempts).toBeGreaterThan(1);
    expect(events.some((event) => event.type === 'tenant-waiting')).toBe(true);
  });

  test('fleet 4: a terminated backend is tried again, and harms nobody else', async () => {
    const files = { 'core/1_slow.sql': 'create table slow (); select pg_sleep(0.5);' };
    const fleet = await makeFleet(databases, { count: 3, files });
    const [, second] = fleet.tenants;
    const killing = (async () => {
      for (let tries = 0; tries < 100; tries++) {
        const [killed] = await databases.query<{ done: boolean }>(
          `select pg_terminate_backend(pid) as done from pg_stat_activity
           where datname = '${second?.database}' and wait_event = 'PgSleep'`,
        );
        if (killed?.done) return;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    })();
    const report = await up(fleet.config, { all: true });
    await killing;
    expect(report.counts.migrated + report.counts.failed).toBe(3);
    expect(report.counts.migrated).toBeGreaterThanOrEqual(2);
    expect((await up(fleet.config, { all: true })).counts).toMatchObject({ failed: 0 });
    expect(await fleet.historyOf(second)).toEqual(['1_slow']);
  });

  test('fleet 10: two runs at once are safe, and the second says who is at it', async () => {
    const files = { 'core/1_slow.sql': 'create table slow (); select pg_sleep(0.2);' };
    const fleet = await makeFleet(databases, { count: 4, files });
    const first = up({ ...fleet.config, actor: 'pod-1' }, { all: true }, { concurrency: 2 });
    await new Promise((resolve) => setTimeout(resolve, 150));
    const second = await up(fleet.config, { all: true }, { concurrency: 2 });
    const one = await first;
    expect(second.notices.join()).toMatch(/Run \d+ \(up --all\) is in progress, by pod-1 on /);
    expect(one.counts.migrated + second.counts.migrated).toBe(4);
    expect(one.counts.current + second.counts.current).toBe(4);
    for (const tenant of fleet.tenants) expect(await fleet.historyOf(tenant)).toEqual(['1_slow']);
  });

  test('fleet 11: a ledger that cannot be written does not stop the run, which says so', async () => {
    const fleet = await makeFleet(databases, { count: 3 });
    const report = await up(
      fleet.config,
      { all: true },
      {
        onEvent: (event) => {
          if (event.type !== 'run-started') return;
          void fleet.central('alter table mpm_migrate.run_tenants rename to elsewhere');
        },
      },
    );
    expect(report.counts).toMatchObject({ migrated: 3 });
    expect(report.error).toMatchObject({ code: 'LEDGER_LOST' });
    expect(report.notices.join()).toContain('The run continues without it');
  });

  test('fleet 11: the connection to the central database is lost again and again: the list is read on, the ledger whole', async () => {
    const fleet = await makeFleet(databases, { count: 2 });
    const { central: at } = fleet.config;
    const gone = Array.from({ length: 1200 }, (_, nr) => ({
      id: String(100 + nr),
      name: `gone-${nr}`,
      database: `${databases.prefix}gone_${nr}`,
    }));
    await addTenants(fleet, gone);
    let seen = 0;
    const report = await up(
      fleet.config,
      { all: true },
      {
        onEvent: async (event) => {
          if (event.type !== 'tenant-finished' || seen++ % 300) return;
          await databases.query(
            `select pg_terminate_backend(pid, 5000) from pg_stat_activity where datname = '${new URL(at.url).pathname.slice(1)}'`,
          );
        },
      },
    );
    expect(report.error).toBeUndefined();
    expect(report.counts).toMatchObject({ total: 1202, migrated: 2, failed: 1200 });
    expect(
      await fleet.central('select outcome, count(*)::int from mpm_migrate.run_tenants group by 1 order by 1'),
    ).toEqual([
      { outcome: 'failed', count: 1200 },
      { outcome: 'migrated', count: 2 },
    ]);
    expect(await fleet.central('select outcome from mpm_migrate.runs')).toEqual([{ outcome: 'failed' }]);
  });

  test('fleet 11, 34: the central database is gone for good: what is begun is done, nothing more is, and the run says so', async () => {
    const fleet = await makeFleet(databases, {
      count: 3,
      files: { 'core/1_slow.sql': 'select pg_sleep(2);' },
    });
    const proxy = await startProxy(testServer());
    onTestFinished(() => proxy.stop());
    const config = {
      ...fleet.config,
      central: { url: proxy.through(fleet.config.central.url) },
      pace: { ...fleet.config.pace, connectTimeout: 1_000 },
    };
    const running = up(config, { all: true }, { concurrency: 2 });
    const atWork = `select from pg_stat_activity where datname like '${databases.prefix}%' and wait_event = 'PgSleep'`;
    while ((await databases.query(atWork)).length < 2)
      await new Promise((resolve) => setTimeout(resolve, 20));
    await proxy.stop();
    const report = await running;
    expect(report.counts).toMatchObject({ total: 3, migrated: 2, failed: 1 });
    expect(report.error).toMatchObject({ code: 'LEDGER_LOST' });
    expect(report.notices.join()).toContain('The run continues without it');
    // Whether it is on hold by now cannot be known.
    expect(report.failures[0]?.error).toMatchObject({
      code: 'CONNECTION',
      message: expect.stringMatching(/^its row cannot be read again: /),
      aftermath: 'nothing was changed here',
    });
  });

  test('fleet 3: one server down is that server’s tenants failed, quickly and grouped, and the rest done', async () => {
    const fleet = await makeFleet(databases, { count: 2 });
    const proxy = await startProxy(testServer());
    const down = proxy.through(testServer());
    await proxy.stop();
    const gone = Array.from({ length: 40 }, (_, at) => ({
      id: String(100 + at),
      name: `far-${at}`,
      database: `far_${at}`,
    }));
    await addTenants(fleet, gone);
    await fleet.central("update company_databases set server = 'down' where company_id >= 100");
    const servers = { ...fleet.config.servers, down: { name: 'down', url: down } };
    const report = await up({ ...fleet.config, servers }, { all: true });
    expect(report.counts).toMatchObject({ migrated: 2, failed: 40 });
    expect(report.failures).toHaveLength(1);
    expect(report.failures[0]).toMatchObject({ count: 40, error: { code: 'CONNECTION' } });
  });

  test('fleet 3: a server that is full is asked less, and every tenant is migrated all the same', async () => {
    const fleet = await makeFleet(databases, { count: 6 });
    const role = `${databases.prefix}few`;
    await databases.query(`create role ${role} login password 'secret' connection limit 2`);
    onTestFinished(async () => {
      for (const { database } of fleet.tenants)
        await databases.query(`drop database ${database} with (force)`);
      await databases.query(`drop role ${role}`);
    });
    for (const { database } of fleet.tenants)
      await databases.query(`alter database ${database} owner to ${role}`);
    const url = Object.assign(new URL(testServer()), { username: role, password: 'secret' }).href;
    const config = { ...fleet.config, servers: { default: { name: 'default', url } } };
    const report = await up(config, { all: true }, { concurrency: 6 });
    expect(report.failures).toEqual([]);
    expect(report.counts).toMatchObject({ total: 6, migrated: 6 });
    const [most] = await fleet.central<{ most: number }>(
      'select max(attempts) as most from mpm_migrate.run_tenants',
    );
    expect(most?.most).toBeGreaterThan(1);
  });
});
