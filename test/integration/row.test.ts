import { expect, test } from 'vitest';
import type { RunEvent } from '../../src/fleet/events.ts';
import type { RunOptions } from '../../src/fleet/walk.ts';
import type { Selection } from '../../src/fleet/select.ts';
import { baseline } from '../../src/fleet/verbs/baseline.ts';
import { down } from '../../src/fleet/verbs/down.ts';
import { exec } from '../../src/fleet/verbs/exec.ts';
import { installPlugin } from '../../src/fleet/verbs/plugin-install.ts';
import { makeInstallable } from '../../src/fleet/verbs/plugin-list.ts';
import { uninstallPlugin } from '../../src/fleet/verbs/plugin-uninstall.ts';
import { repair } from '../../src/fleet/verbs/repair.ts';
import { up } from '../../src/fleet/verbs/up.ts';
import { fresh } from '../../src/fleet/verbs/fresh.ts';
import { hold } from '../../src/tenants/change.ts';
import { testServer, withDatabases } from '../helpers/database.ts';
import { CORE, makeFleet, type TestFleet, type TestTenant } from '../helpers/fleet.ts';
import { holdHistoryLock } from '../helpers/history-lock.ts';

const databases = withDatabases();
const ALL: Selection = { all: true };

const setHold = (fleet: TestFleet, id: string) =>
  fleet.central(
    `update company_databases set status = 'hold', reason = 'a copy is made' where company_id = ${id}`,
  );
const release = (fleet: TestFleet) =>
  fleet.central("update company_databases set status = 'active', reason = null");

/** Lets a verb begin with the first tenant, which waits for another runner, does something, and lets it go on. */
async function meanwhile<R>(
  fleet: TestFleet,
  verb: (options: Pick<RunOptions, 'onEvent' | 'concurrency'>) => Promise<R>,
  act: () => Promise<unknown>,
): Promise<R> {
  const lock = await holdHistoryLock(testServer(fleet.tenants[0]?.database));
  let waits: () => void = () => undefined;
  const waiting = new Promise<void>((resolve) => (waits = resolve));
  const onEvent = (event: RunEvent): void => {
    if (event.type === 'tenant-waiting') waits();
  };
  const running = verb({ onEvent, concurrency: 1 });
  try {
    await Promise.race([waiting, running]);
    await act();
  } finally {
    await lock.letGo();
  }
  return running;
}

test('fleet 34: what is put on hold while a run is at work elsewhere is skipped, by each command that writes', async () => {
  const fleet = await makeFleet(databases, { count: 2, more: { templates: false } });
  const { config } = fleet;
  await fleet.write({
    'plugins/billing/3_bills.sql':
      '-- migrate:up\ncreate table bills ();\n-- migrate:down\ndrop table bills;\n',
  });
  await makeInstallable(config, 'billing');
  const state = async () => ({
    history: await fleet.of(
      fleet.tenants[1],
      'select name, state, checksum, source from mpm_migrate.history order by position',
    ),
    meters: await fleet.of(fleet.tenants[1], 'select * from meters'),
    plugins: await fleet.central('select * from company_plugins where company_id = 2'),
  });
  const passed = async (
    verb: (options: Pick<RunOptions, 'onEvent' | 'concurrency'>) => Promise<{
      counts: { skipped: number; failed: number };
      skipped: { reason: string; count: number }[];
    }>,
  ) => {
    const before = await state();
    const report = await meanwhile(fleet, verb, () => setHold(fleet, '2'));
    expect(report.counts).toMatchObject({ skipped: 1, failed: 0 });
    expect(report.skipped).toEqual([{ reason: 'on hold: a copy is made', count: 1 }]);
    expect(await state()).toEqual(before);
    await release(fleet);
  };

  await up(config, ALL, { to: '1' });
  await passed((options) => up(config, ALL, options));
  await passed((options) => exec(config, ALL, 'insert into meters values (1)', { ...options, write: true }));
  await up(config, ALL);
  await passed((options) => down(config, ALL, options));
  await up(config, ALL);
  await passed((options) => installPlugin(config, 'billing', ALL, options));
  await installPlugin(config, 'billing', ALL);
  await passed((options) => uninstallPlugin(config, 'billing', ALL, { ...options, keep: true }));
  await fleet.write({
    'core/1_meters.sql': CORE['core/1_meters.sql'].replace('int primary', 'int  primary'),
  });
  await passed((options) => repair(config, ALL, { ...options, kind: 'checksums', write: true }));
  await fleet.write({ 'core/4_new.sql': 'create table new_table ();' });
  await passed((options) => baseline(config, ALL, { ...options, to: '4', write: true }));
});

test('fleet 34: who is on hold, has moved or is dropped while a runner waits for the lock is seen under it', async () => {
  const fleet = await makeFleet(databases, { count: 1 });
  const { config, tenants } = fleet;
  const [tenant] = tenants;
  const old = tenant?.database ?? '';
  await up(config, ALL, { to: '1' });

  const held = await meanwhile(
    fleet,
    (options) => up(config, ALL, options),
    () => setHold(fleet, '1'),
  );
  expect(held).toMatchObject({ counts: { skipped: 1 }, skipped: [{ reason: 'on hold: a copy is made' }] });
  expect(await fleet.historyOf(tenant)).toEqual(['1_meters']);
  await release(fleet);

  const copy = await databases.clone(old, 'moved');
  const place = (database: string) =>
    fleet.central(`update company_databases set database_name = '${database}' where company_id = 1`);
  const moved = await meanwhile(
    fleet,
    (options) => up(config, { tenants: ['1'] }, options),
    () => place(copy.name),
  );
  expect(moved).toMatchObject({
    counts: { migrated: 1 },
    tenants: [{ tenant: { id: '1', database: copy.name }, applied: [{ name: '2_note' }] }],
  });
  expect(await fleet.historyOf(tenant)).toEqual(['1_meters']);
  expect(await fleet.historyOf({ id: '1', name: '', database: copy.name })).toEqual(['1_meters', '2_note']);
  const [ledger] = await fleet.central(
    'select database from mpm_migrate.run_tenants order by run desc limit 1',
  );
  expect(ledger).toEqual({ database: copy.name });

  await place(old);
  const gone = await meanwhile(
    fleet,
    (options) => up(config, ALL, options),
    () => fleet.central('delete from company_databases; delete from companies'),
  );
  expect(gone).toMatchObject({
    counts: { skipped: 1 },
    skipped: [{ reason: 'dropped since the run started' }],
  });
  expect(await fleet.historyOf(tenant)).toEqual(['1_meters']);
});

test('fleet 53: who is moved to another server between the pages is met, and once', async () => {
  const fleet = await makeFleet(databases, { count: 4 });
  const url = testServer('postgres');
  const servers = Object.fromEntries(['a', 'b', 'c'].map((name) => [name, { name, url }]));
  const rows = fleet.tenants.map(
    ({ id, name, database }, at) => `(${id}, '${name}', '${database}', '${'aabb'[at]}')`,
  );
  // When they are counted, 4 is on b; when the pages are read, on c, where there was nobody.
  const query = `select id, name, database, case when id = 4 and current_query() !~ 'count[(]distinct' then 'c' else server end as server
from (values ${rows.join(', ')}) v (id, name, database, server)`;
  const met: string[] = [];
  const onEvent = (event: RunEvent) =>
    void (event.type === 'tenant-finished' && met.push(event.result.tenant.id));
  const config = { ...fleet.config, servers, tenants: { query } };
  const report = await up(config, ALL, { onEvent });
  expect(met.toSorted()).toEqual(['1', '2', '3', '4']);
  expect(report.counts).toMatchObject({ total: 4, migrated: 4 });
  expect(await fleet.historyOf(fleet.tenants[3])).toEqual(['1_meters', '2_note']);
});

test('fleet 34: at a retry, and where the old database is gone, a tenant is migrated at its new place', async () => {
  const fleet = await makeFleet(databases, { count: 2, more: { templates: false } });
  const [first, second] = fleet.tenants;
  await up(fleet.config, ALL, { to: '1' });
  const move = (id: number, database: string) =>
    fleet.central(`update company_databases set database_name = '${database}' where company_id = ${id}`);
  const copy = await databases.clone(second?.database ?? '', 'second');
  const report = await meanwhile(
    fleet,
    (options) => up(fleet.config, ALL, options),
    async () => {
      await move(2, copy.name);
      await databases.query(`drop database "${second?.database}"`);
    },
  );
  expect(report.counts).toMatchObject({ migrated: 2, failed: 0 });
  expect(await fleet.historyOf({ id: '2', name: '', database: copy.name })).toEqual(['1_meters', '2_note']);

  await fleet.write({ 'core/3_kind.sql': 'alter table meters add kind text;' });
  const other = await databases.clone(first?.database ?? '', 'first');
  const blocker = fleet
    .of(first, 'begin; lock table meters; select pg_sleep(60) /* blocker */; commit')
    .catch(() => []);
  await databases.waitFor("query like '%blocker%' and wait_event = 'PgSleep'");
  const pace = { ...fleet.config.pace, lockTimeout: 100, retries: 20 };
  let moving: Promise<unknown> | undefined;
  const again = await up(
    { ...fleet.config, pace },
    { tenants: ['1'] },
    {
      onEvent: (event) => {
        if (event.type === 'tenant-waiting' && event.retryInMs !== undefined) moving ??= move(1, other.name);
      },
    },
  );
  await endBlocker(first);
  await Promise.all([moving, blocker]);
  expect(again.tenants).toMatchObject([{ outcome: 'migrated', tenant: { database: other.name } }]);
  expect(await fleet.historyOf(first)).toEqual(['1_meters', '2_note']);
});

test('fleet 34: a hold that has returned holds; while somebody is at work it is 5, and who is', async () => {
  const quick = Object.fromEntries(
    Array.from({ length: 40 }, (_, at) => [
      `core/${String(at + 10)}_t.sql`,
      `create table t${at + 10} (); select pg_sleep(0.002);`,
    ]),
  );
  const slow = {
    'core/1_slow.sql': 'select pg_advisory_xact_lock(4711);',
    'core/2_next.sql': 'create table next ();',
  };
  const fleet = await makeFleet(databases, { count: 2, files: slow });
  const [first] = fleet.tenants;
  const config = { ...fleet.config, pace: { ...fleet.config.pace, lockTimeout: 60_000 } };
  const impatient = { ...config, pace: { ...config.pace, lockWait: 300 } };
  const blocker = fleet
    .of(first, 'select pg_advisory_lock(4711) /* blocker */; select pg_sleep(60)')
    .catch(() => []);
  await databases.waitFor("query like '%blocker%' and wait_event = 'PgSleep'");
  const running = up(config, { tenants: ['1'] });
  await databases.waitFor("application_name like 'mpm-migrate/%' and wait_event = 'advisory'");
  await expect(hold(impatient, '1', { reason: 'moving it' })).rejects.toMatchObject({
    code: 'BUSY',
    message: expect.stringMatching(
      /company-1 \(1\) is on hold, but another runner is at work in its database: held by pid \d+/,
    ),
    hint: "To wait for it: mpm-migrate tenant hold 1 --reason 'moving it' --lock-wait 10min",
  });
  const waiting = hold({ ...config, pace: { ...config.pace, lockWait: 60_000 } }, '1', {
    reason: 'moving it',
  });
  await endBlocker(first);
  await blocker;
  expect((await waiting).tenant.status).toBe('hold');
  const atReturn = await fleet.historyOf(first);
  const report = await running;
  expect(await fleet.historyOf(first)).toEqual(atReturn);
  expect(report.tenants?.[0]).toMatchObject({
    outcome: 'skipped',
    reason: 'on hold: moving it',
    applied: [{ name: '1_slow' }],
  });

  // In the middle of a message of many: what comes after the hold's return is not begun.
  await fleet.write(quick);
  const batch = up(config, { tenants: ['2'] });
  await databases.waitFor("datname like '%c2' and application_name like 'mpm-migrate/%'");
  await hold(config, '2', { reason: 'now' });
  const then = await fleet.historyOf(fleet.tenants[1]);
  await batch;
  expect(await fleet.historyOf(fleet.tenants[1])).toEqual(then);
});

test('fleet 34: fresh leaves a database alone that is not the tenant’s any more', async () => {
  const fleet = await makeFleet(databases, { count: 1, more: { templates: false } });
  const [tenant] = fleet.tenants;
  await up(fleet.config, ALL);
  const copy = await databases.clone(tenant?.database ?? '', 'elsewhere');
  const confirm = async (): Promise<void> => {
    await fleet.central(`update company_databases set database_name = '${copy.name}'`);
  };
  await expect(fresh(fleet.config, '1', { confirm })).rejects.toMatchObject({
    code: 'TENANT_STATUS',
    message: `company-1 has moved meanwhile: to "${copy.name}" on server "default"`,
  });
  expect(await fleet.historyOf(tenant)).toEqual(['1_meters', '2_note']);
});

const endBlocker = (tenant: TestTenant | undefined) =>
  databases.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
where datname = '${tenant?.database}' and query like '%blocker%'`,
  );
