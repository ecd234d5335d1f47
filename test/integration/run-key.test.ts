import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { withCentral } from '../../src/central/central.ts';
import { finishShard, joinRun } from '../../src/central/shards.ts';
import { findRun, runTenants } from '../../src/central/runs.ts';
import type { Config } from '../../src/config/define.ts';
import { up } from '../../src/fleet/verbs/up.ts';
import { withDatabases } from '../helpers/database.ts';
import { makeFleet } from '../helpers/fleet.ts';

const databases = withDatabases();

const runOf = (config: Config, number: number) => withCentral(config, (central) => findRun(central, number));

test('fleet 12: slices with the same key are one run, which ends with the last of them', async () => {
  const files = { 'core/1_slow.sql': 'create table slow (); select pg_sleep(0.1);' };
  const fleet = await makeFleet(databases, { count: 6, files });
  await fleet.of(fleet.tenants[2], 'create table in_the_way ()');
  const slice = (shard: string) => up(fleet.config, { all: true, shard }, { runKey: 'deploy-7' });
  const first = await slice('1/3');
  expect(await runOf(fleet.config, first.run ?? 0)).toMatchObject({
    outcome: 'running',
    selection: '--all',
    parts: [{ part: 1, parts: 3, outcome: 'done' }],
  });
  const [second, third] = await Promise.all([slice('2/3'), slice('3/3')]);
  expect([second.run, third.run]).toEqual([first.run, first.run]);
  const run = await runOf(fleet.config, first.run ?? 0);
  expect(run).toMatchObject({ outcome: 'failed', total: 6, counts: { total: 6, migrated: 5, refused: 1 } });
  expect(run.parts?.map(({ part }) => part)).toEqual([1, 2, 3]);
  expect(await fleet.central('select count(*)::int as n from mpm_migrate.runs')).toEqual([{ n: 1 }]);

  // --failed of it is the whole deployment's; a slice that is run again takes its place.
  await fleet.of(fleet.tenants[2], 'drop table in_the_way');
  expect((await up(fleet.config, { failed: 'last' })).counts).toMatchObject({ total: 1, migrated: 1 });
  for (const shard of ['1/3', '2/3', '3/3']) expect((await slice(shard)).run).toBe(first.run);
  expect(await runOf(fleet.config, first.run ?? 0)).toMatchObject({
    outcome: 'done',
    counts: { migrated: 5, current: 1, refused: 0, total: 6 },
  });
});

test('fleet 55: a slice that was cut off, and is run again, adds to what was applied', async () => {
  const fleet = await makeFleet(databases, { count: 4 });
  const run = async () => up(fleet.config, { all: true, shard: '1/1' }, { runKey: 'k', to: '2' });
  await up(fleet.config, { all: true, shard: '1/1' }, { runKey: 'k', to: '1' });
  // As a kill leaves it: the tenants that had ended are recorded, the part has no end.
  await fleet.central("update mpm_migrate.run_parts set outcome = 'running', counts = '{}'");
  await fleet.central("delete from mpm_migrate.run_tenants where tenant_id = '4'");
  const report = await run();
  await run();
  const { counts } = await runOf(fleet.config, report.run ?? 0);
  expect(counts).toMatchObject({ migrated: 4, current: 0, total: 4 });
  const tenants = await withCentral(fleet.config, (central) => runTenants(central, report.run ?? 0));
  const known = tenants.map(({ tenant, from, applied }) => [
    tenant.id,
    from,
    applied.map(({ name }) => name).join(),
  ]);
  const twice = ['1', '2', '3'].map((id) => [id, null, '1_meters,2_note']);
  expect(known.toSorted()).toEqual([...twice, ['4', '1_meters', '2_note']]);
});

test('fleet 12: a key of another selection, or of other slices, is refused before anything is touched', async () => {
  const fleet = await makeFleet(databases, { count: 2 });
  await up(fleet.config, { all: true, shard: '1/2' }, { runKey: 'k', to: '1' });
  for (const selection of [
    { all: true, shard: '1/3' },
    { tenants: ['1'], shard: '2/2' },
  ]) {
    await expect(up(fleet.config, selection, { runKey: 'k' })).rejects.toMatchObject({ code: 'USAGE' });
  }
});

test('fleet 12: a part that is killed shows as interrupted, and so does its run once nobody is at it', async () => {
  const fleet = await makeFleet(databases, { count: 1 });
  const what = { verb: 'up', selection: '--all', filter: {}, toolVersion: '1', key: 'k', total: 1 };
  const number = await withCentral(fleet.config, async (central) => {
    const run = await joinRun(central, { ...what, shard: { index: 1, of: 2 } });
    await joinRun(central, { ...what, shard: { index: 2, of: 2 } });
    return run;
  });
  // No process has this number.
  await fleet.central('update mpm_migrate.run_parts set pid = 2147483646 where part = 2');
  const parts = [{ outcome: 'running' }, { outcome: 'interrupted' }];
  expect(await runOf(fleet.config, number)).toMatchObject({ outcome: 'running', parts });
  const counts = { total: 1, failed: 0, refused: 0, busy: 0 };
  await withCentral(fleet.config, (central) =>
    finishShard(central, number, 1, { interrupted: false, counts, outcome: 'done' }),
  );
  await sleep(10);
  expect(await runOf(fleet.config, number)).toMatchObject({ outcome: 'interrupted' });
});
