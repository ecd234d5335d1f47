import { expect, test, vi } from 'vitest';
import { type ConfigInput, defineConfig, MpmError, openFleet } from '../../src/index.ts';
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
