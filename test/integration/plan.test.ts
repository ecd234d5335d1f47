import { describe, expect, onTestFinished, test } from 'vitest';
import { plan } from '../../src/fleet/verbs/plan.ts';
import { up } from '../../src/fleet/verbs/up.ts';
import { planText } from '../../src/ui/views/plan.ts';
import { plain } from '../helpers/samples.ts';
import { closeGate, GATE, withDatabases } from '../helpers/database.ts';
import { addTenants, makeFleet } from '../helpers/fleet.ts';

const databases = withDatabases();

describe('plan', () => {
  test('fleet 22: tenants with equal plans together, what is refused, skipped or out of reach', async () => {
    const fleet = await makeFleet(databases, { count: 8 });
    const [, , third, fourth, fifth, sixth] = fleet.tenants;
    await up(fleet.config, { tenants: ['1', '2', '3', '4'] }, { to: '1' });
    await up(fleet.config, { tenants: ['2'] });
    await fleet.of(third, "update mpm_migrate.history set checksum = 'v1:0'");
    await fleet.of(fourth, "update mpm_migrate.history set checksum = 'v1:1'");
    await fleet.of(fifth, 'create table in_the_way ()');
    await fleet.central(
      `update company_databases set status = 'hold', reason = 'audit' where database_name = '${sixth?.database}'`,
    );
    await addTenants(fleet, [{ id: '10', name: 'gone', database: `${databases.prefix}gone` }]);

    const report = await plan(fleet.config, { all: true }, { sql: true });
    expect(report.counts).toEqual({
      total: 9,
      current: 1,
      pending: 3,
      refused: 3,
      skipped: 1,
      unreachable: 1,
    });
    const groups = report.groups.map(({ outcome, count, tenants, pending }) => [
      outcome,
      count,
      tenants.map(({ id }) => id).join(),
      pending.length,
    ]);
    expect(groups).toEqual([
      ['pending', 2, '7,8', 2],
      ['pending', 1, '1', 1],
      ['refused', 2, '3,4', 1],
      ['refused', 1, '5', 0],
      ['unreachable', 1, '10', 0],
      ['skipped', 1, '6', 0],
      ['current', 1, '2', 0],
    ]);
    expect(JSON.stringify(report)).not.toContain('{tenant}');
    // Made out for all that are listed.
    expect(report.groups[2]?.refusals[0]?.remedy).toContain(
      'repair 1_meters --tenant 3 --tenant 4 --checksums',
    );
    expect(report.groups[3]?.error?.hint).toContain('mpm-migrate baseline --tenant 5 --to NAME');
    expect(report.groups[5]?.reason).toBe('on hold: audit');
    expect(report.migrations).toMatchObject([
      { name: '1_meters', tenants: 2, kind: 'sql', sql: expect.stringContaining('create table meters') },
      { name: '2_note', tenants: 5, transaction: true },
    ]);
    const limited = await plan(fleet.config, { tenants: ['1', '7'] }, { to: '1' });
    expect(limited.counts).toMatchObject({ total: 2, current: 1, pending: 1 });
    const forced = await plan(fleet.config, { tenants: ['3'] }, { force: true });
    expect(forced.groups).toMatchObject([
      { outcome: 'pending', pending: ['2_note'], notices: [expect.stringContaining('--force')] },
    ]);
    await expect(plan(fleet.config, { all: true }, { force: true })).rejects.toMatchObject({ code: 'USAGE' });
  });

  test('engine 41 and 42: it says what runs outside a transaction, for what, and what level a file asks for', async () => {
    const files = {
      'core/1_meters.sql': 'create table meters (id int);',
      'core/2_index.sql': 'create index concurrently i on meters (id);',
      'core/3_level.sql': 'begin isolation level serializable; select 1; commit;',
    };
    const fleet = await makeFleet(databases, { count: 1, files });
    const report = await plan(fleet.config, { all: true }, { sql: true });
    expect(report.migrations).toMatchObject([
      { transaction: true },
      { transaction: false, outsideFor: 'create index concurrently i on meters (id)' },
      {
        transaction: true,
        sql: expect.stringMatching(/^set transaction isolation level serializable;\n\s*select 1;/),
      },
    ]);
    const text = planText(report, plain(0));
    expect(text).toContain(
      '+ 2_index  outside a transaction, for create index concurrently i on meters (id)',
    );
    expect(text).toContain('a migration runs statement by statement');
  });

  test('a tenant’s own file of the same name is another plan; a module is named as code', async () => {
    const files = {
      'core/1_meters.sql': 'create table meters ();',
      'core/2_code.js': 'export const up = () => {};',
    };
    const fleet = await makeFleet(databases, { count: 2, files });
    await fleet.write({ [`tenants/${fleet.tenants[1]?.database}/1_meters.sql`]: 'create table other ();' });
    const report = await plan(fleet.config, { all: true }, { sql: true });
    expect(report.groups).toHaveLength(2);
    expect(report.foldersBehind).toBe(1);
    expect(report.migrations.map(({ name, kind, sql }) => [name, kind, sql?.trim()])).toEqual([
      ['1_meters', 'sql', 'create table meters ();'],
      ['1_meters', 'sql', 'create table other ();'],
      ['2_code', 'module', undefined],
    ]);
  });

  test('confidence 3: what is locked, rewritten, or read, and how large it is; what cannot be known', async () => {
    const files = {
      'core/1_base.sql': `create table orders (id int primary key, note varchar(10));
create table parts (k int, v int) partition by list (k);
create table parts1 partition of parts for values in (1);
create schema app; create table app.jobs (id int);
create function own() returns void language sql as 'select';
insert into parts select 1, n from generate_series(1, 3000) n`,
      'core/2_later.sql': `alter table orders alter note type varchar(20);
-- wider
alter table orders alter
  id type bigint;
alter table parts alter v type bigint;
update app.jobs set id = 1;
create table made (id int); alter table made alter id type bigint;
alter table missing add x serial;
select own(), max(id) from orders`,
      'core/3_do.sql': 'do $$ begin execute 1; end $$',
      'core/4_code.js': 'export const up = () => {};',
    };
    const fleet = await makeFleet(databases, { count: 3, files });
    const { config, of, tenants } = fleet;
    await up(config, { all: true }, { to: '1' });
    await of(tenants[1], 'insert into orders select n from generate_series(1, 20000) n');
    // Somebody has it: its size isn't waited for.
    const gate = await closeGate(tenants[2]?.database ?? '');
    const holding = of(tenants[2], `begin; lock table orders; ${GATE} rollback`).catch(() => undefined);
    await gate.reached();
    const { impact } = await plan(config, { all: true }, { impact: true });
    await gate.open();
    await holding;
    const rest = { migration: '2_later', lock: 'ACCESS EXCLUSIVE', scans: 'no', count: 3 };
    expect(impact?.groups).toMatchObject([
      {
        ...rest,
        statement: 'alter table orders alter note type varchar(20)',
        table: 'orders',
        rewrites: 'no',
      },
      { ...rest, statement: 'alter table orders alter id type bigint', table: 'orders', rewrites: 'yes' },
      { ...rest, statement: 'alter table parts alter v type bigint', table: 'parts', rewrites: 'yes' },
      { ...rest, lock: 'ROW EXCLUSIVE', table: 'app.jobs', rewrites: 'no', scans: 'yes' },
    ]);
    const [orders, parts] = impact?.groups.slice(1, 3) ?? [];
    expect(orders).toMatchObject({
      sizes: { small: 3, medium: 0, large: 0 },
      largest: [{ tenant: { id: '2' } }, {}, {}],
    });
    const [size] = await of<{ orders: number; parts: number }>(
      tenants[1],
      "select pg_total_relation_size('orders')::int as orders, pg_total_relation_size('parts1')::int as parts",
    );
    expect([orders?.largest[0]?.bytes, parts?.largest[0]?.bytes]).toEqual([size?.orders, size?.parts]);
    expect(impact?.unknown).toEqual([
      { migration: '2_later', what: 'function own', count: 3 },
      { migration: '2_later', what: "missing, which isn't there yet", count: 3 },
      { migration: '3_do', what: 'do', count: 3 },
      { migration: '4_code', what: 'TypeScript', count: 3 },
    ]);
    expect(impact?.servers).toMatchObject([{ server: 'default', concurrency: 3, more: true }]);
  });

  test('engine 26: for a role with CONNECT, USAGE and SELECT alone; without a history table; nothing is written', async () => {
    const fleet = await makeFleet(databases, { count: 3 });
    await up(fleet.config, { tenants: ['1', '2'] }, { to: '1' });
    const role = `${databases.prefix}reader`;
    await databases.query(`create role ${role} login password 'secret'`);
    onTestFinished(async () => {
      for (const tenant of fleet.tenants) await fleet.of(tenant, `drop owned by ${role}`);
      await fleet.central(`drop owned by ${role}`);
      await databases.query(`drop role ${role}`);
    });
    const grants = (schema: string) =>
      `grant usage on schema ${schema} to ${role}; grant select on all tables in schema ${schema} to ${role}`;
    await fleet.central(grants('public'));
    await fleet.central(grants('mpm_migrate'));
    await fleet.of(fleet.tenants[0], grants('mpm_migrate'));
    const asReader = (url: string): string =>
      Object.assign(new URL(url), { username: role, password: 'secret' }).href;
    const reading = {
      ...fleet.config,
      central: { url: asReader(fleet.config.central.url) },
      servers: { default: { name: 'default', url: asReader(fleet.config.servers['default']?.url ?? '') } },
    };
    const locks = `select count(*)::int as n from pg_locks where locktype = 'advisory'`;
    const report = await plan(reading, { all: true }, { impact: true });
    expect(report.impact?.groups).toMatchObject([{ migration: '2_note', table: 'meters', count: 1 }]);
    expect(report.groups).toMatchObject([
      { outcome: 'pending', tenants: [{ id: '1' }], pending: ['2_note'] },
      { outcome: 'pending', tenants: [{ id: '3' }], pending: ['1_meters', '2_note'] },
      { outcome: 'unreachable', tenants: [{ id: '2' }] },
    ]);
    expect(report.groups[2]?.error).toMatchObject({
      code: 'DATABASE_ERROR',
      message: 'permission denied for schema mpm_migrate',
      hint: expect.stringContaining('permission'),
    });
    expect(await databases.query(locks)).toEqual([{ n: 0 }]);
    const [there] = await fleet.of(
      fleet.tenants[2],
      "select to_regnamespace('mpm_migrate') is not null as there",
    );
    expect(there).toEqual({ there: false });
    expect(await fleet.central('select number from mpm_migrate.runs')).toHaveLength(1);
  });
});
