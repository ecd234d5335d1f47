import { existsSync } from 'node:fs';
import pg from 'pg';
import { expect, onTestFinished, test, vi } from 'vitest';
import { centralUp } from '../../src/central/schema/up.ts';
import type { RunEvent } from '../../src/fleet/events.ts';
import { up } from '../../src/fleet/verbs/up.ts';
import { provision } from '../../src/tenants/create/provision.ts';
import { configOf } from '../helpers/central.ts';
import { folderOf, withFolders } from '../helpers/engine.ts';
import { startServer } from '../helpers/server.ts';
import { startStandby } from '../helpers/standby.ts';

withFolders();

async function session(url: string): Promise<(text: string) => Promise<Record<string, unknown>[]>> {
  const client = new pg.Client(url);
  client.on('error', () => undefined);
  await client.connect();
  onTestFinished(() => client.end());
  return async (text) => (await client.query<Record<string, unknown>>(text)).rows;
}

test.skipIf(!existsSync('/proc/self/cmdline'))(
  'confidence 6: no tenant starts while a streaming replica is too far behind; what cannot be known is said',
  async () => {
    const primary = await startServer();
    onTestFinished(() => primary.stop());
    const central = new URL(primary.url);
    central.pathname = '/central';
    const config = configOf(central.href);
    config.migrations.core = await folderOf({ '1_a.sql': 'create table a ();' });
    await centralUp(config);
    for (const name of ['Acme', 'Beta', 'Gamma']) await provision(config, { name });
    const standby = await startStandby(primary, 'near');
    onTestFinished(() => standby.stop());
    const [on, at] = [await session(primary.url), await session(standby.url)];
    const follows = async (state: string) =>
      vi.waitFor(async () => {
        const rows = await on(`select from pg_stat_replication where application_name = 'near' and ${state}`);
        expect(rows).toHaveLength(1);
      }, 60_000);
    await follows("state = 'streaming'");

    // What the replica answers to new records is what the server knows.
    const fallsBehind = () =>
      vi.waitFor(async () => {
        await on('select pg_logical_emit_message(true, $$mpm$$, repeat($$x$$, 1000))');
        const rows = await on("select from pg_stat_replication where replay_lag > interval '5 ms'");
        expect(rows).toHaveLength(1);
      }, 60_000);

    const notices: string[] = [];
    const events: RunEvent[] = [];
    const onEvent = (event: RunEvent) => {
      events.push(event);
      if (event.type === 'notice') notices.push(event.message);
    };
    const begun = () => events.filter(({ type }) => type === 'tenant-started').length;

    await at('select pg_wal_replay_pause()');
    await vi.waitFor(async () =>
      expect(await at('select pg_get_wal_replay_pause_state() as state')).toEqual([{ state: 'paused' }]),
    );
    await fallsBehind();
    config.migrations.core = await folderOf({
      '1_a.sql': 'create table a ();',
      '2_b.sql': 'create table b ();',
    });
    const running = up(config, { all: true }, { maxLag: '1ms', concurrency: 1, onEvent });
    await vi.waitFor(
      () => expect(notices.join('\n')).toMatch(/Server default: replica near .* behind/),
      60_000,
    );
    expect(begun()).toBe(0);
    await at('select pg_wal_replay_resume()');
    const report = await running;
    expect(report.counts).toMatchObject({ total: 3, migrated: 3 });
    expect(notices.join('\n')).toMatch(/Server default: its replicas are within 0\.0 s again, after \d/);

    // An interrupted run does not wait; the configuration says it by server.
    await at('select pg_wal_replay_pause()');
    await fallsBehind();
    const abort = new AbortController();
    notices.length = 0;
    const limited = { ...config, servers: { default: { ...config.servers['default']!, maxLag: 1 } } };
    const stopped = up(limited, { all: true }, { onEvent, signal: abort.signal, concurrency: 1 });
    await vi.waitFor(() => expect(notices.join('\n')).toMatch(/replica near/), 60_000);
    abort.abort();
    expect(await stopped).toMatchObject({ interrupted: true });

    // Who may not look is told so, and goes on.
    await on(`create role plain login password 'plain'`);
    await on('grant create on database postgres to plain');
    notices.length = 0;
    const url = new URL(primary.url);
    url.username = 'plain';
    url.password = 'plain';
    url.pathname = '/postgres';
    const blind = { ...config, servers: { default: { name: 'default', url: url.href } } };
    const failing = await up(blind, { all: true }, { maxLag: 1, onEvent });
    expect(failing.counts.total).toBe(3);
    expect(notices.join('\n')).toContain(
      'Server default: the lag of its replicas is not known: the role may not read pg_stat_replication: grant pg_monitor to it',
    );
    await at('select pg_wal_replay_resume()');
  },
);

test('confidence 6: what is no duration is refused before anything is done', async () => {
  const config = configOf('postgres://nobody@127.0.0.1:1/none');
  config.migrations.core = await folderOf({ '1_a.sql': 'create table a ();' });
  await expect(up(config, { all: true }, { maxLag: 'soon' })).rejects.toMatchObject({
    code: 'USAGE',
    message: '--max-lag soon: not a duration',
  });
});
