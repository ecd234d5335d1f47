import { expect, test } from 'vitest';
import { withCentral } from '../../src/central/central.ts';
import type { Config } from '../../src/config/define.ts';
import type { RunEvent } from '../../src/fleet/events.ts';
import { serialize } from '../../src/fleet/schedule/serialize.ts';
import { up } from '../../src/fleet/verbs/up.ts';
import { testServer, withDatabases } from '../helpers/database.ts';
import { makeFleet } from '../helpers/fleet.ts';
import { startProxy } from '../helpers/proxy.ts';

const databases = withDatabases();
const ALL = { all: true } as const;

/** Looked after once a second. */
const soon = (url: string): string => `${url}?keepalives_idle=1`;

async function fleetOf(files: Record<string, string>, count = 1) {
  const fleet = await makeFleet(databases, { count, files });
  fleet.config.pace = { ...fleet.config.pace, retries: 0, connectTimeout: 400 };
  return fleet;
}

test('engine 61: a flow that was forgotten on the way is lost, and what became of the migration is looked up', async () => {
  const fleet = await fleetOf({
    'core/1_slow.sql': 'create table slow (); select pg_sleep(1.2);',
    'core/2_fails.sql': 'select pg_sleep(1.2); select 1 / 0;',
  });
  await using proxy = await startProxy(testServer('postgres'), { forgets: 600 });
  const url = soon(proxy.through(testServer('postgres')));
  const config: Config = { ...fleet.config, servers: { default: { name: 'default', url } } };
  const first = await up(config, ALL, { to: '1' });
  expect(first.counts).toMatchObject({ migrated: 1 });
  expect(await fleet.historyOf(fleet.tenants[0])).toEqual(['1_slow']);
  const second = await up(config, ALL);
  expect(second.failures[0]?.error).toMatchObject({
    code: 'CONNECTION_LOST',
    aftermath: 'the migration was rolled back',
  });
  // Nobody holds the lock any more.
  await fleet.write({ 'core/2_fails.sql': 'create table fails ();' });
  expect((await up(fleet.config, ALL)).counts).toMatchObject({ migrated: 1 });
});

/** Through a proxy that freezes as soon as the last tenant is done. */
async function frozenAtTheEnd(options: { signal?: AbortSignal; cancel?: AbortSignal; onFrozen?(): void }) {
  const fleet = await fleetOf({ 'core/1_a.sql': 'create table a ();' }, 2);
  let frozen = false;
  await using proxy = await startProxy(testServer('postgres'), { frozen: () => frozen });
  const central = { url: soon(proxy.through(fleet.config.central.url)) };
  const onEvent = (event: RunEvent) => {
    if (event.type !== 'tenant-finished' || event.result.tenant.id !== '2') return;
    frozen = true;
    options.onFrozen?.();
  };
  const report = await up({ ...fleet.config, central }, ALL, { ...options, onEvent, concurrency: 1 });
  return { fleet, report };
}

test('fleet 52: a central database that does not speak at the end of a run does not keep it from ending', async () => {
  const { report, fleet } = await frozenAtTheEnd({});
  expect(report).toMatchObject({ counts: { migrated: 2 }, error: { code: 'LEDGER_LOST' } });
  expect(await fleet.historyOf(fleet.tenants[1])).toEqual(['1_a']);
});

test('fleet 52: nor does it keep an interrupt from ending it', async () => {
  const [stop, cancel] = [new AbortController(), new AbortController()];
  const onFrozen = () => {
    stop.abort();
    cancel.abort();
  };
  const { report } = await frozenAtTheEnd({ signal: stop.signal, cancel: cancel.signal, onFrozen });
  expect(report).toMatchObject({ interrupted: true, error: { code: 'LEDGER_LOST' } });
});

test('fleet 52: nothing opens a connection to the central database after the end of a run', async () => {
  const { config } = await fleetOf({ 'core/1_a.sql': 'create table a ();' });
  await using proxy = await startProxy(testServer('postgres'));
  const central = { url: proxy.through(config.central.url) };
  let beat: Promise<unknown> = Promise.resolve();
  await withCentral({ ...config, central }, async (own) => {
    proxy.cutAll();
    // As the heartbeat, which nobody waits for.
    beat = serialize(own, () => own.connection.query('select 1')).catch(() => 'it came too late');
  });
  expect(await beat).toBe('it came too late');
  expect(proxy.counts.connections).toBe(1);
});
