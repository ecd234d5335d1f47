import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test, vi } from 'vitest';
import { type ConfigInput, defineConfig, type Fleet, MpmError, openFleet } from '../../src/index.ts';
import { withDatabases } from '../helpers/database.ts';
import { makeFleet, type TestFleet } from '../helpers/fleet.ts';

const databases = withDatabases();

function inputOf({ config }: TestFleet): ConfigInput {
  return defineConfig({
    central: { url: config.central.url },
    migrations: { core: config.migrations.core, tenants: config.migrations.tenants },
  });
}

test('fleet 20: the library does what the commands do, prints nothing and leaves the exit code alone', async () => {
  const fleet = await makeFleet(databases, { count: 3 });
  const written = [process.stdout, process.stderr].map((stream) => vi.spyOn(stream, 'write'));
  await using opened = await openFleet(inputOf(fleet), { actor: 'app' });
  expect((await opened.status({ all: true })).counts).toMatchObject({ pending: 3 });
  expect((await opened.up({ all: true })).counts).toMatchObject({ migrated: 3 });
  expect((await opened.down({ tenants: ['1'] })).counts).toMatchObject({ reverted: 1 });
  const { tenant, head } = await opened.provision({ name: 'Acme Ltd', database: `${databases.prefix}acme` });
  databases.adopt(tenant.database);
  expect(tenant).toMatchObject({ name: 'Acme Ltd', status: 'active' });
  expect(head).toBe('2_note');
  expect((await opened.status({ all: true })).counts).toMatchObject({ total: 4, current: 3, pending: 1 });
  for (const spy of written) {
    expect(spy).not.toHaveBeenCalled();
    spy.mockRestore();
  }
  expect(process.exitCode).toBeUndefined();
});

test('fleet 20: plan, repair, baseline, resolveMigration and fresh, as the commands do them', async () => {
  const files = {
    'core/1_meters.sql': 'create table meters ();',
    'core/2_half.sql': '-- migrate:up transaction:false\ncreate table a ();\ncreate table meters ();\n',
  };
  const fleet = await makeFleet(databases, { count: 2, files });
  await using opened = await openFleet(inputOf(fleet), { actor: 'app' });
  expect((await opened.plan({ all: true })).counts).toMatchObject({ pending: 2 });
  await fleet.of(fleet.tenants[1], 'create table meters ()');
  const drawn = await opened.baseline({ tenants: ['2'] }, { to: '1', write: true });
  expect(drawn).toMatchObject({ write: true, counts: { changed: 1 } });
  expect((await opened.up({ all: true })).counts).toMatchObject({ failed: 2 });
  const said = await opened.resolveMigration('2_half', { tenant: '1', as: 'rolled-back' });
  expect(said).toMatchObject({ verb: 'resolve', counts: { changed: 1 } });
  await expect(opened.resolveMigration('2_half', { tenant: '1', as: 'retry' })).rejects.toMatchObject({
    code: 'USAGE',
    hint: expect.not.stringContaining('{tenant}'),
  });
  await fleet.write({ 'core/1_meters.sql': 'create table meters (id int);' });
  const repaired = await opened.repair({ tenants: ['1'] }, { kind: 'checksums', write: true });
  expect(repaired.tenants).toMatchObject([
    { outcome: 'changed', changes: [{ action: 'accept', name: '1_meters' }] },
  ]);
  await fleet.write({ 'core/2_half.sql': 'create table a ();' });
  const { database } = fleet.tenants[0] ?? { database: '' };
  expect(await opened.fresh('1', { confirm: database })).toMatchObject({ head: '2_half' });
});

test('fleet 20: one tenant’s failure is in the report, not thrown', async () => {
  const fleet = await makeFleet(databases, { count: 2, files: { 'core/1_bad.sql': 'select 1/0;' } });
  await using opened = await openFleet(inputOf(fleet));
  const report = await opened.up({ all: true });
  expect(report.counts).toMatchObject({ failed: 2 });
  expect(JSON.parse(JSON.stringify(report))).toEqual(report);
});

test('fleet 20: closing lets what is in work finish its migration; afterwards the fleet is closed', async () => {
  const files = { 'core/1_slow.sql': 'select pg_sleep(0.3);', 'core/2_never.sql': 'create table never ();' };
  const fleet = await makeFleet(databases, { count: 1, files });
  const opened = await openFleet(inputOf(fleet));
  const running = opened.up(
    { all: true },
    {
      onEvent: (event) => {
        if (event.type === 'migration-started') void opened.close();
      },
    },
  );
  expect(await running).toMatchObject({ interrupted: true, counts: { failed: 0, skipped: 1 } });
  expect(await fleet.historyOf(fleet.tenants[0])).toEqual(['1_slow']);
  await expect(opened.up({ all: true })).rejects.toMatchObject({ code: 'FLEET_CLOSED' });
});

/** The sessions that creations have in the central database. */
async function heldBy(fleet: TestFleet): Promise<number[]> {
  const rows = await fleet.central<{ pid: number }>(
    `select pid from pg_stat_activity where datname = current_database()
and application_name in ('mpm-migrate/central', 'mpm-migrate/tenant-lock/creation') order by pid`,
  );
  return rows.map(({ pid }) => pid);
}

test('a fleet keeps the connections of a creation for the next, and makes do without when they are gone', async () => {
  const fleet = await makeFleet(databases, { count: 0 });
  const opened = await openFleet(inputOf(fleet));
  const create = async (name: string): Promise<string> => {
    const { tenant, source } = await opened.provision({ name, database: `${databases.prefix}${name}` });
    databases.adopt(tenant.database);
    return source;
  };
  await create('first');
  const held = await heldBy(fleet);
  expect(held).toHaveLength(2);
  expect(await create('second')).toBe('template');
  expect(await heldBy(fleet)).toEqual(held);

  await fleet.central(`select pg_terminate_backend(${held[0]})`);
  expect(await create('third')).toBe('template');
  const renewed = await heldBy(fleet);
  expect(renewed).toHaveLength(2);
  expect(renewed).not.toContain(held[0]);

  // Each has its own while it is at work; one pair is kept.
  expect(await Promise.all(['a', 'b', 'c'].map(create))).toEqual(['template', 'template', 'template']);
  await vi.waitFor(async () => expect(await heldBy(fleet)).toHaveLength(2));

  // A creation that fails has its connections closed: how far they came is not known.
  await expect(opened.provision({ name: 'first' })).rejects.toMatchObject({ code: 'TENANT_EXISTS' });
  await vi.waitFor(async () => expect(await heldBy(fleet)).toEqual([]));
  await create('last');
  expect(await heldBy(fleet)).toHaveLength(2);
  await opened.close();
  await vi.waitFor(async () => expect(await heldBy(fleet)).toEqual([]));
});

test('files that change between two creations of a fleet are noticed, and what was made of the old ones is undone', async () => {
  const fleet = await makeFleet(databases, { count: 0 });
  await using opened = await openFleet(inputOf(fleet));
  const create = async (name: string) => {
    const { tenant, head, source } = await opened.provision({ name: `${databases.prefix}${name}` });
    databases.adopt(tenant.database);
    return { head, source, ...tenant };
  };
  expect(await create('files_old')).toMatchObject({ head: '2_note', source: 'template' });
  await fleet.write({ 'core/3_more.sql': 'create table more ();' });
  const later = await create('files_new');
  expect(later).toMatchObject({
    head: '3_more',
    source: 'template',
    database: `${databases.prefix}files_new`,
  });
  expect(await fleet.historyOf(later)).toEqual(['1_meters', '2_note', '3_more']);

  // In its place, and as long as before.
  await opened.fillPool({ size: 1 });
  await fleet.write({ 'core/3_more.sql': 'create table less ();' });
  const last = await create('files_last');
  expect(last.source).toBe('template');
  expect(await fleet.of(last, "select to_regclass('less') is not null as there")).toEqual([{ there: true }]);
  await opened.drainPool();
  const names = await fleet.central<{ name: string }>('select name from companies order by id');
  expect(names.map(({ name }) => name.slice(databases.prefix.length))).toEqual([
    'files_old',
    'files_new',
    'files_last',
  ]);
  const there = await databases.query<{ name: string }>(
    `select datname::text as name from pg_database where datname ~ '^${databases.prefix}files_' order by oid`,
  );
  expect(there).toHaveLength(3);
});

test('a script that creates a tenant and does not close its fleet ends all the same', async () => {
  const fleet = await makeFleet(databases, { count: 0 });
  const database = databases.adopt(`${databases.prefix}script`).name;
  const script = `import { openFleet } from 'mpm-migrate';
const fleet = await openFleet(${JSON.stringify(inputOf(fleet))});
console.log((await fleet.provision({ name: 'Script', database: '${database}' })).tenant.status);`;
  // The time-out is less than what connections are kept for.
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '--eval', script], {
    cwd: join(import.meta.dirname, '../..'),
    timeout: 30_000,
  });
  expect(stdout).toBe('active\n');
});

test('kept connections are closed when no other creation comes, and see a central database that is behind', async () => {
  const fleet = await makeFleet(databases, { count: 0 });
  const input = inputOf(fleet);
  const create = (opened: Fleet, name: string): Promise<unknown> => {
    const database = databases.adopt(`${databases.prefix}${name}`).name;
    return opened.provision({ name, database });
  };
  await using soon = await openFleet({ ...input, sessions: { idleTimeout: '200ms' } });
  await create(soon, 'one');
  await vi.waitFor(async () => expect(await heldBy(fleet)).toEqual([]));

  await using late = await openFleet(input);
  await create(late, 'two');
  expect(await heldBy(fleet)).toHaveLength(2);
  await fleet.central("delete from mpm_migrate.registry_history where name like '0001%'");
  await expect(create(late, 'three')).rejects.toMatchObject({ code: 'CENTRAL_BEHIND' });
});

test('openFleet names every problem of a configuration, and no password', async () => {
  const wrong = {
    central: { url: 'postgres://u:hunter2@h/d' },
    pace: { retries: -1 },
    servers: { a: { url: 5 } },
  };
  const error: unknown = await openFleet(wrong as unknown as ConfigInput).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(MpmError);
  expect(error).toMatchObject({ code: 'CONFIG_INVALID', message: expect.stringContaining('pace.retries') });
  expect(String(error)).toContain('servers.a.url');
  expect(String(error)).not.toContain('hunter2');
});
