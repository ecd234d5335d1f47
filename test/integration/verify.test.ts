import pg from 'pg';
import { describe, expect, onTestFinished, test } from 'vitest';
import { withCentral } from '../../src/central/central.ts';
import { exitCodeOf } from '../../src/cli/exit-code.ts';
import { down } from '../../src/fleet/verbs/down.ts';
import { gate } from '../../src/fleet/verbs/gate.ts';
import { status } from '../../src/fleet/verbs/status.ts';
import { up } from '../../src/fleet/verbs/up.ts';
import { baseline } from '../../src/fleet/verbs/baseline.ts';
import { repair } from '../../src/fleet/verbs/repair.ts';
import { verify } from '../../src/fleet/verbs/verify.ts';
import type { VerifyReport } from '../../src/fleet/report/verify-report.ts';
import { closeGate, GATE, withDatabases } from '../helpers/database.ts';
import { clone } from '../../src/tenants/clone.ts';
import { drainPool, fillPool } from '../../src/tenants/create/pool.ts';
import { provision } from '../../src/tenants/create/provision.ts';
import { templatePrefix } from '../../src/tenants/create/template.ts';
import { addTenants, CORE, makeFleet, type TestTenant } from '../helpers/fleet.ts';
import { startProxy } from '../helpers/proxy.ts';
import { referencesOf, referenceWaits, waitInReference } from '../helpers/reference.ts';
import { RICH } from '../helpers/rich.ts';

const databases = withDatabases();

function said({ groups }: VerifyReport): string[] {
  return groups.map(
    ({ count, differences }) => `${count}: ${differences.map(({ message }) => message).join('; ')}`,
  );
}

/** What 15 tenants suffer, in six ways: how many, what is done, what is said. */
const DRIFTS: [count: number, sql: string, said: string][] = [
  [9, 'alter table meters alter big type int', 'meters.big: type is integer, not bigint'],
  [2, 'drop index meters_code', 'index meters_code is missing'],
  [
    1,
    "create or replace function touch() returns trigger language plpgsql as 'begin return null; end'",
    'function touch() differs: definition',
  ],
  [
    1,
    'alter table sites alter zone type text collate "POSIX"',
    'sites.zone: type is text collate "POSIX", not text collate "C"',
  ],
  [
    1,
    'alter table meters disable trigger meters_touch',
    'trigger meters.meters_touch: enabled is no, not yes',
  ],
  [
    1,
    'revoke select on busy from pg_read_all_data',
    'view busy: privileges is nothing, not pg_read_all_data SELECT',
  ],
];
const DONE = DRIFTS.flatMap(([count, sql, message]) =>
  Array.from({ length: count }, () => ({ sql, message })),
);

describe('verify', () => {
  test('confidence 7: nothing where nothing differs, however tenants were made; groups of equal drift; the SQL mends it', async () => {
    const fleet = await makeFleet(databases, { count: 1, files: RICH });
    const { config } = fleet;
    await up(config, { all: true });
    const [model] = fleet.tenants as [TestTenant];
    const copies: TestTenant[] = [];
    for (const [at] of DONE.entries()) {
      const { name: database } = await databases.clone(model.database, `x${at}`);
      copies.push({ id: String(at + 2), name: `x${at}`, database });
    }
    await addTenants(fleet, copies);
    const named = (label: string) => ({ name: `${databases.prefix}${label}` });
    const adopt = (database: string) => void databases.adopt(database);
    adopt((await provision(config, named('first'))).tenant.database);
    await fillPool(config, { size: 1 });
    adopt((await provision(config, named('pooled'))).tenant.database);
    adopt((await clone(config, '1', named('copied'))).tenant.database);
    adopt((await provision({ ...config, templates: false }, named('applied'))).tenant.database);
    const clean = await verify(config, { all: true }, { comments: true });
    expect([said(clean), clean.failures]).toEqual([[], []]);
    expect(clean.counts).toMatchObject({ total: 20, current: 20 });
    await drainPool(config, {});
    const { config: known } = await withCentral(config, (central) => Promise.resolve(central));
    const templates = await databases.query<{ name: string }>(
      `select datname::text as name from pg_database where starts_with(datname, '${templatePrefix(known)}')`,
    );
    for (const { name } of templates) databases.adopt(name);

    for (const [at, { sql }] of DONE.entries()) await fleet.of(copies[at], sql);
    // Other tools' tables are not ours to judge.
    await fleet.of(model, 'create table knex_migrations (id serial primary key, name text)');
    const report = await verify(config, { all: true });
    expect(report.counts).toMatchObject({ total: 20, current: 5, drifted: 15 });
    expect(said(report).toSorted()).toEqual(
      DRIFTS.map(([count, , message]) => `${count}: ${message}`).toSorted(),
    );
    expect(exitCodeOf(report)).toBe(4);
    const [run] = await fleet.central<{ outcomes: string }>(
      "select string_agg(outcome, ',' order by outcome) as outcomes from mpm_migrate.run_tenants where outcome = 'drifted'",
    );
    expect(run?.outcomes.split(',')).toHaveLength(15);
    expect((await status(config, { all: true })).verified).toMatchObject({
      run: report.run,
      counts: { current: 5, drifted: 15 },
    });

    for (const [at, { message }] of DONE.entries()) {
      const group = report.groups.find(({ differences }) => differences[0]?.message === message);
      await fleet.of(copies[at], group?.sql.join('\n') ?? '');
    }
    const mended = await verify(config, { all: true });
    expect([said(mended), mended.failures, mended.counts.current]).toEqual([[], [], 20]);
    expect(await referencesOf(databases, fleet)).toEqual([]);
  }, 60_000);

  test('confidence 7: a history whose files are not known any more is not compared', async () => {
    const fleet = await makeFleet(databases, { count: 4 });
    await up(fleet.config, { all: true });
    await fleet.of(
      fleet.tenants[0],
      "update mpm_migrate.history set checksum = 'v2:0:0' where name = '2_note'",
    );
    await fleet.of(
      fleet.tenants[1],
      "update mpm_migrate.history set name = '9_newer', version = '9' where name = '2_note'",
    );
    await fleet.of(
      fleet.tenants[2],
      "update mpm_migrate.history set state = 'failed', finished_at = null where name = '2_note'",
    );
    await fleet.write({ 'core/3_extension.sql': 'create extension nowhere;' });
    await baseline(fleet.config, { tenants: ['4'] }, { to: '3_extension', write: true });
    const report = await verify(fleet.config, { all: true });
    expect(report.counts).toMatchObject({ current: 0, failed: 4 });
    expect(report.failures.map(({ error }) => [error.code, error.message]).toSorted()).toEqual([
      ['NOT_COMPARABLE', "can't be compared: 2_note is half-done there, or at work"],
      ['NOT_COMPARABLE', "can't be compared: 2_note was changed after it was applied"],
      ['NOT_COMPARABLE', "can't be compared: 9_newer has no file any more, or a newer release applied it"],
      ['NOT_COMPARABLE', 'can\'t be compared: on server "default", extension "nowhere" is not available'],
    ]);
    const [missing] = report.failures.filter(({ error }) => error.migration === '3_extension');
    expect(missing?.error.hint).toContain('Install there what they need, such as an extension');
    expect(exitCodeOf(report)).toBe(3);
    // The remedy, as it is printed.
    const changed = report.failures.find(({ error }) => error.message.endsWith('after it was applied'));
    expect(changed?.error.hint).toContain('mpm-migrate repair 2_note --tenant 1 --checksums --write');
    await repair(fleet.config, { tenants: ['1'] }, { kind: 'checksums', names: ['2_note'], write: true });
    expect((await verify(fleet.config, { tenants: ['1'] })).counts).toMatchObject({ current: 1, failed: 0 });
  });

  test('confidence 7: late and missing ones are applied as the tenant applied them', async () => {
    const files = { ...CORE, 'core/4_more.sql': 'alter table meters add more int;' };
    const fleet = await makeFleet(databases, { count: 2, files });
    await up(fleet.config, { tenants: ['1'] });
    await fleet.write({ 'core/3_between.sql': 'alter table meters add between_ int;' });
    await up(fleet.config, { tenants: ['2'] });
    await up(fleet.config, { tenants: ['1'] }, { outOfOrder: true });
    const report = await verify(fleet.config, { all: true });
    expect([said(report), report.failures]).toEqual([[], []]);
    expect(report.counts).toMatchObject({ current: 2 });
  });

  test('confidence 7: where the migrations do not apply, it says so once, for all', async () => {
    const fleet = await makeFleet(databases, { count: 3 });
    await up(fleet.config, { all: true });
    const role = `${databases.prefix}gone`;
    await databases.query(`create role ${role}`);
    await fleet.write({ 'core/3_grant.sql': `grant select on meters to ${role};` });
    await up(fleet.config, { all: true });
    for (const { database } of fleet.tenants) await databases.query(`drop owned by ${role}`, database);
    await databases.query(`drop role ${role}`);
    const report = await verify(fleet.config, { all: true });
    expect(report.counts).toMatchObject({ failed: 3 });
    expect(report.failures).toHaveLength(1);
    expect(report.failures[0]?.error).toMatchObject({ code: 'NOT_COMPARABLE', migration: '3_grant' });
    expect(await referencesOf(databases, fleet)).toEqual([]);
  });

  test('confidence 7: a role that may only read, a ledger that is not written', async () => {
    const fleet = await makeFleet(databases, { count: 2 });
    await up(fleet.config, { all: true });
    await fleet.of(fleet.tenants[1], 'alter table meters drop note');
    const role = `${databases.prefix}reader`;
    await databases.query(`create role ${role} login password 'secret' in role pg_read_all_data`);
    onTestFinished(async () => void (await databases.query(`drop role ${role}`)));
    const asReader = (url: string): string =>
      Object.assign(new URL(url), { username: role, password: 'secret' }).href;
    const url = String(fleet.config.servers['default']?.url);
    const reading = {
      ...fleet.config,
      central: { url: asReader(String(fleet.config.central.url)) },
      servers: { default: { name: 'default', url: asReader(url) }, builder: { name: 'builder', url } },
    };
    const without = await verify(reading, { all: true });
    expect(without.failures[0]?.error).toMatchObject({
      code: 'NOT_COMPARABLE',
      hint: expect.stringContaining('createdb'),
    });
    expect(exitCodeOf(without)).toBe(3);
    const report = await verify({ ...reading, verify: { reference: 'builder' } }, { all: true });
    expect(said(report)).toEqual(['1: meters.note is missing']);
    expect(report.notices.join()).toContain("the ledger can't be written");
    expect(report).toMatchObject({ run: null, counts: { current: 1, drifted: 1 } });
    expect(exitCodeOf(report)).toBe(4);

    // What writes nothing anyway, and what writes to tenants.
    expect(await gate(reading, { all: true }, { atLeast: '2' })).toMatchObject({ open: true });
    await expect(down(reading, { all: true, run: 1 })).rejects.toThrow('permission denied for table runs');
    expect(await fleet.historyOf(fleet.tenants[0])).toEqual(['1_meters', '2_note']);
  });
});

test('P13: one connection a tenant, and one message in it', async () => {
  const fleet = await makeFleet(databases, { count: 5 });
  await up(fleet.config, { all: true });
  const url = String(fleet.config.servers['default']?.url);
  await using proxy = await startProxy(url);
  const config = { ...fleet.config, servers: { default: { name: 'default', url: proxy.through(url) } } };
  const cost = async (work: () => Promise<unknown>) => {
    const { connections, roundTrips } = proxy.counts;
    await work();
    return [proxy.counts.connections - connections, proxy.counts.roundTrips - roundTrips] as const;
  };
  const ask = async (tenant: TestTenant) => {
    const client = new pg.Client({ connectionString: proxy.through(url), database: tenant.database });
    await client.connect();
    await client.query('select 1');
    await client.end();
  };
  const [three, five, bare] = [
    await cost(() => verify(config, { tenants: ['1', '2', '3'] })),
    await cost(() => verify(config, { all: true })),
    await cost(() => ask(fleet.tenants[0] as TestTenant)),
  ];
  expect([five[0] - three[0], five[1] - three[1]]).toEqual([2 * bare[0], 2 * bare[1]]);
});

test('confidence 7: a tenant that a run is at work on while it is looked at, and one that a run moves on', async () => {
  const role = `${databases.prefix}wait`;
  const files = { ...CORE, 'core/0_wait.sql': waitInReference(role) };
  const fleet = await makeFleet(databases, { count: 1, files });
  const { config } = fleet;
  const [tenant] = fleet.tenants;
  await up(config, { all: true });
  await fleet.write({ 'core/3_slow.sql': `alter table meters add slow int; ${GATE}` });
  const gate = await closeGate(tenant?.database ?? '');
  const running = up(config, { all: true });
  await gate.reached();
  expect((await verify(config, { all: true })).counts).toMatchObject({ total: 1, current: 1 });
  await gate.open();
  await running;

  await fleet.of(tenant, 'alter table meters drop note');
  await databases.query(`create role ${role}`);
  const looking = verify(config, { all: true });
  await referenceWaits(databases, fleet);
  await fleet.write({ 'core/4_more.sql': 'alter table meters add more int;' });
  await up(config, { all: true });
  await databases.query(`drop role ${role}`);
  const report = await looking;
  // By the files that it began with, the tenant has one by now that it does not know.
  expect(report.failures.map(({ error }) => error.message)).toEqual([
    "can't be compared: 4_more has no file any more, or a newer release applied it",
  ]);
  expect(said(await verify(config, { all: true }))).toEqual(['1: meters.note is missing']);
});
