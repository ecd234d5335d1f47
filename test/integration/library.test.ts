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
