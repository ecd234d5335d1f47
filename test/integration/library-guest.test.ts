import { expect, test } from 'vitest';
import { defineConfig, type Fleet, MpmError, openFleet, type RunEvent } from '../../src/index.ts';
import { withDatabases } from '../helpers/database.ts';
import { makeFleet, type TestFleet } from '../helpers/fleet.ts';

const databases = withDatabases();

async function open(fleet: TestFleet): Promise<Fleet> {
  const { config } = fleet;
  return openFleet(
    defineConfig({
      central: { url: config.central.url },
      migrations: { core: config.migrations.core, tenants: config.migrations.tenants },
    }),
  );
}

test('fleet 43: an onEvent that throws or rejects is a notice, at every event', async () => {
  const made = await makeFleet(databases, { count: 2 });
  await using fleet = await open(made);
  const rejected = await fleet.up({ all: true }, { onEvent: () => Promise.reject(new Error('the hook')) });
  expect(rejected.counts).toMatchObject({ migrated: 2 });
  expect(rejected.notices.join()).toMatch(/onEvent failed at run-started: the hook \(and \d+ more times\)/);
  const seen = new Set<string>();
  const onEvent = ({ type }: RunEvent): void => {
    seen.add(type);
    throw new Error('the hook');
  };
  for (const verb of [fleet.status({ all: true }, { onEvent }), fleet.down({ all: true }, { onEvent })]) {
    expect((await verb).notices.join()).toContain('onEvent failed');
  }
  expect([...seen]).toEqual(expect.arrayContaining(['run-started', 'tenant-finished', 'run-finished']));
});

test('fleet 43: a call with a wrong value is a USAGE error and costs nothing; ids are taken in all their types', async () => {
  const made = await makeFleet(databases, { count: 1 });
  await using fleet = await open(made);
  const wrong = [
    () => fleet.resolve({ email: undefined } as never),
    () => fleet.resolve(undefined as never),
    () => fleet.connect(undefined as never),
    () => fleet.hold({} as never, { reason: 'x' }),
    () => fleet.hold(1, undefined as never),
    () => fleet.hold(1.5, { reason: 'x' }),
    () => fleet.rename(1, undefined as never),
    () => fleet.provision({} as never),
    () => fleet.release(null as never),
  ];
  for (const call of wrong) {
    await expect(call()).rejects.toMatchObject({ code: 'USAGE', hint: expect.any(String) });
  }
  const central = new URL(made.config.central.url).pathname.slice(1);
  const connected = `select 1 from pg_stat_activity where datname = '${central}'`;
  expect(await databases.query(connected)).toEqual([]);
  expect((await fleet.hold(1, { reason: 'x' })).done).toBe('held');
  expect((await fleet.release(1n)).done).toBe('released');
});

test('fleet 43: an aborted signal makes no tenant', async () => {
  const made = await makeFleet(databases, { count: 0 });
  await using fleet = await open(made);
  const signal = AbortSignal.abort();
  const database = `${databases.prefix}never`;
  const refused = fleet.provision({ name: 'Never', database }, { signal });
  await expect(refused).rejects.toMatchObject({ code: 'INTERRUPTED' });
  // While its database is made, and nothing is left to be applied.
  const stop = new AbortController();
  const undone = fleet.provision(
    { name: 'Never', database },
    { signal: stop.signal, onStep: () => stop.abort() },
  );
  await expect(undone).rejects.toBeInstanceOf(MpmError);
  expect(await made.central("select 1 from companies where name = 'Never'")).toEqual([]);
  expect(await databases.query(`select 1 from pg_database where datname = '${database}'`)).toEqual([]);
});

test('fleet 43: an id is one tenant in every spelling', async () => {
  const made = await makeFleet(databases, { count: 3 });
  await using fleet = await open(made);
  await fleet.connect('003');
  await fleet.connect(3);
  await fleet.hold('3', { reason: 'x' });
  // The change is heard of in its own time.
  let code = '';
  while (code !== 'TENANT_SUSPENDED') {
    code = await fleet.connect('3').then(
      () => '',
      (error: MpmError) => error.code,
    );
  }
  await expect(fleet.connect('003')).rejects.toMatchObject({ code: 'TENANT_SUSPENDED' });
});

test('fleet 43: atLeast asks for the migration itself', async () => {
  const made = await makeFleet(databases, {
    count: 1,
    files: {
      'core/20260101000000_a.sql': 'create table a ();',
      'core/20260201000000_b.sql': 'create table b ();',
    },
  });
  const folder = `tenants/${made.tenants[0]?.database}`;
  await made.write({
    [`${folder}/20260101000000_a.sql`]: 'create table a ();',
    [`${folder}/20260301000000_own.sql`]: 'create table own ();',
  });
  await using fleet = await open(made);
  await fleet.up({ all: true });
  await fleet.connect(1, { atLeast: '20260101000000' });
  await fleet.connect(1, { atLeast: '20260301000000_own' });
  for (const atLeast of ['20260201000000', '20260201000000_b', '20260101000000_other']) {
    await expect(fleet.connect(1, { atLeast })).rejects.toMatchObject({
      code: 'TENANT_BEHIND',
      message: expect.stringContaining('is at 20260301000000_own'),
    });
  }
});
