import { describe, expect, onTestFinished, test } from 'vitest';
import { down } from '../../src/fleet/verbs/down.ts';
import { status } from '../../src/fleet/verbs/status.ts';
import { up } from '../../src/fleet/verbs/up.ts';
import type { StatusRow } from '../../src/fleet/report/status-report.ts';
import { withDatabases } from '../helpers/database.ts';
import { addTenants, makeFleet } from '../helpers/fleet.ts';

const databases = withDatabases();

describe('status', () => {
  test('fleet 21: cohorts, those that drifted, cannot be reached or are on hold', async () => {
    const fleet = await makeFleet(databases, { count: 6 });
    const [, , , , fifth, sixth] = fleet.tenants;
    await up(fleet.config, { tenants: ['1', '2', '5'] });
    await up(fleet.config, { tenants: ['3'] }, { to: '1' });
    await fleet.of(fifth, "update mpm_migrate.history set checksum = 'v1:0' where name = '2_note'");
    await fleet.of(sixth, 'create table in_the_way ()');
    await fleet.central(
      "update company_databases set status = 'hold', reason = 'audit' where company_id = 4",
    );
    await addTenants(fleet, [{ id: '10', name: 'gone', database: `${databases.prefix}gone` }]);

    const report = await status(fleet.config, { all: true }, { deep: true });
    expect(report.counts).toEqual({
      total: 7,
      current: 2,
      pending: 1,
      drifted: 2,
      unreachable: 1,
      inactive: 1,
    });
    expect(report.tenants?.map(({ tenant, state }) => [tenant.id, state])).toEqual([
      ['1', 'current'],
      ['2', 'current'],
      ['3', 'pending'],
      ['4', 'inactive'],
      ['5', 'drifted'],
      ['6', 'drifted'],
      ['10', 'unreachable'],
    ]);
    const rows = new Map(report.tenants?.map((row) => [row.tenant.id, row]));
    expect(rows.get('3')).toMatchObject({ head: '1_meters', applied: 1, pending: 1 });
    expect(rows.get('4')).toMatchObject({ status: 'hold', reason: 'audit', pending: 2 });
    expect(rows.get('5')).toMatchObject({ drift: { changed: 1 }, head: '2_note' });
    expect(rows.get('5')?.remedies?.join()).toContain('--tenant 5');
    expect(rows.get('6')?.error?.code).toBe('NOT_EMPTY');
    expect(rows.get('10')?.error).toMatchObject({ code: 'DATABASE_MISSING', hint: expect.any(String) });
    expect(report.cohorts.map(({ head, pending, count }) => [head, pending, count])).toEqual([
      ['2_note', 0, 3],
      ['1_meters', 1, 1],
      [null, 2, 1],
    ]);
  });

  test('engine 26: writes nothing, and works for a role that may only read', async () => {
    const fleet = await makeFleet(databases, { count: 2 });
    await up(fleet.config, { tenants: ['1'] });
    const before = await fleet.of(fleet.tenants[1], 'select count(*)::int as n from pg_class');
    const runs = await fleet.central('select count(*)::int as n from mpm_migrate.runs');
    const role = `${databases.prefix}reader`;
    await databases.query(`create role ${role} login password 'secret' in role pg_read_all_data`);
    onTestFinished(async () => void (await databases.query(`drop role ${role}`)));
    const asReader = (url: string): string => {
      const reader = Object.assign(new URL(url), { username: role, password: 'secret' });
      return reader.href;
    };
    const reading = {
      ...fleet.config,
      central: { url: asReader(fleet.config.central.url) },
      servers: { default: { name: 'default', url: asReader(fleet.config.servers['default']?.url ?? '') } },
    };
    expect((await status(reading, { all: true })).counts).toMatchObject({ current: 1, pending: 1 });
    expect(await fleet.of(fleet.tenants[1], 'select count(*)::int as n from pg_class')).toEqual(before);
    expect(await fleet.central('select count(*)::int as n from mpm_migrate.runs')).toEqual(runs);
  });

  test('engine 26: works for a role that may not read the ledger', async () => {
    const fleet = await makeFleet(databases, { count: 1 });
    const role = `${databases.prefix}narrow`;
    await databases.query(`create role ${role} login password 'secret'`);
    await fleet.central(`grant usage on schema mpm_migrate to ${role};
      grant select on all tables in schema public, mpm_migrate to ${role}; revoke all on mpm_migrate.runs from ${role}`);
    onTestFinished(async () => {
      await fleet.central(`drop owned by ${role}`);
      await databases.query(`drop role ${role}`);
    });
    const { href } = Object.assign(new URL(fleet.config.central.url), { username: role, password: 'secret' });
    const report = await status({ ...fleet.config, central: { url: href } }, { all: true });
    expect(report.error).toBeUndefined();
    expect(report.counts).toMatchObject({ total: 1, pending: 1 });
  });

  test('of a single tenant the whole history is shown', async () => {
    const fleet = await makeFleet(databases, { count: 2 });
    await up({ ...fleet.config, actor: 'ci' }, { tenants: ['1'] }, { to: '1' });
    const report = await status(fleet.config, { tenants: ['company-1'] });
    expect(report.history).toMatchObject([
      {
        name: '1_meters',
        state: 'applied',
        source: 'core',
        actor: 'ci',
        checksum: expect.stringMatching(/^v2:/),
      },
      { name: '2_note', state: 'pending', finishedAt: null, run: null },
    ]);
    expect(report.history?.[0]?.finishedAt).toMatch(/^\d{4}-/);
    expect(report.history?.[0]?.durationMs).toBeGreaterThanOrEqual(0);
    expect((await status(fleet.config, { tenants: ['1', '2'] })).history).toBeUndefined();
  });

  test('--behind keeps what has something pending; rows can be streamed', async () => {
    const fleet = await makeFleet(databases, { count: 3 });
    await up(fleet.config, { tenants: ['2'] });
    const rows: StatusRow[] = [];
    const report = await status(fleet.config, { behind: true }, { onRow: (row) => rows.push(row) });
    expect(rows.map(({ tenant }) => tenant.id).toSorted()).toEqual(['1', '3']);
    expect(report).toMatchObject({ counts: { total: 2, pending: 2 } });
    expect(report.tenants).toBeUndefined();
  });

  test('a tenant folder that lacks core migrations is counted as behind', async () => {
    const fleet = await makeFleet(databases, { count: 2 });
    await fleet.write({ [`tenants/${fleet.tenants[0]?.database}/1_meters.sql`]: 'create table meters ();' });
    const report = await status(fleet.config, { all: true });
    expect(report.foldersBehind).toBe(1);
    expect(report.tenants?.[0]).toMatchObject({ lacksCore: 1, pending: 1 });
    expect(report.tenants?.[1]?.lacksCore).toBeUndefined();
  });
});

describe('down', () => {
  test('engine 6: takes back one, so many, or all after a migration', async () => {
    const fleet = await makeFleet(databases, { count: 1 });
    const [only] = fleet.tenants;
    const who = { tenants: ['1'] };
    await up(fleet.config, who);
    expect((await down(fleet.config, who)).tenants).toMatchObject([
      {
        outcome: 'reverted',
        from: '2_note',
        to: '1_meters',
        applied: [{ name: '2_note', direction: 'down' }],
      },
    ]);
    await up(fleet.config, who);
    expect((await down(fleet.config, who, { steps: 2 })).counts).toMatchObject({ reverted: 1 });
    expect(await fleet.historyOf(only)).toEqual([]);
    await up(fleet.config, who);
    await down(fleet.config, who, { to: '1' });
    expect(await fleet.historyOf(only)).toEqual(['1_meters']);
    await down(fleet.config, who, { to: '0' });
    expect(await fleet.historyOf(only)).toEqual([]);
    expect((await down(fleet.config, who)).counts).toMatchObject({ current: 1 });
    await expect(down(fleet.config, who, { to: '1', steps: 1 })).rejects.toMatchObject({ code: 'USAGE' });
  });

  test('engine 6: without a down section it is an error and takes no row out', async () => {
    const fleet = await makeFleet(databases, { count: 1, files: { 'core/1_a.sql': 'create table a ();' } });
    await up(fleet.config, { all: true });
    const report = await down(fleet.config, { tenants: ['1'] });
    expect(report.counts).toMatchObject({ refused: 1 });
    expect(await fleet.historyOf(fleet.tenants[0])).toEqual(['1_a']);
  });
});

test('fleet 21: what stopped half-way is not counted as applied', async () => {
  const fleet = await makeFleet(databases, {
    count: 1,
    files: {
      'core/1_a.sql': 'create table a (i int);',
      'core/2_b.sql': '-- migrate:up transaction:false\ncreate index concurrently i on nowhere (i);',
    },
  });
  await up(fleet.config, { all: true });
  expect((await status(fleet.config, { tenants: ['1'] })).tenants).toMatchObject([
    { state: 'drifted', head: '1_a', applied: 1, drift: { failed: 1 } },
  ]);
});
