import { describe, expect, test } from 'vitest';
import type { RunEvent } from '../../src/fleet/events.ts';
import { up } from '../../src/fleet/verbs/up.ts';
import { withDatabases } from '../helpers/database.ts';
import { makeFleet, type TestFleet } from '../helpers/fleet.ts';

const databases = withDatabases();

async function label(fleet: TestFleet, tier: string, ids: number[]): Promise<void> {
  await fleet.central(
    `update company_databases set labels = '{"tier":"${tier}"}' where company_id in (${ids.join()})`,
  );
}

describe('waves', () => {
  test('fleet 5: a canary goes first, always the same ones, and the others when it ended well', async () => {
    const fleet = await makeFleet(databases, { count: 6 });
    const events: RunEvent[] = [];
    const report = await up(
      fleet.config,
      { all: true },
      { canary: '2', onEvent: (event) => void events.push(event) },
    );
    expect(report.counts).toMatchObject({ total: 6, migrated: 6 });
    expect(report.waves).toMatchObject([
      { name: 'canary', outcome: 'done', counts: { total: 2, migrated: 2 } },
      { name: 'rest', outcome: 'done', counts: { total: 4, migrated: 4 } },
    ]);
    const order = events.flatMap((event) => {
      if (event.type === 'wave-started') return [event.name];
      return event.type === 'tenant-finished' ? [event.result.tenant.id] : [];
    });
    expect(order[0]).toBe('canary');
    expect(order[3]).toBe('rest');
    // Spread by multiples of the golden ratio: 5 and 2 have the smallest places.
    expect(order.slice(1, 3).toSorted()).toEqual(['2', '5']);
  });

  test('fleet 5: a canary that fails keeps the rest from beginning; --failed takes all of them up', async () => {
    const fleet = await makeFleet(databases, { count: 5 });
    await fleet.of(fleet.tenants[4], 'create table in_the_way ()');
    const report = await up(fleet.config, { all: true }, { canary: '20%' });
    expect(report.counts).toMatchObject({ total: 5, refused: 1, skipped: 4 });
    expect(report.waves?.map(({ name, outcome }) => [name, outcome])).toEqual([
      ['canary', 'failed'],
      ['rest', 'skipped'],
    ]);
    expect(report.skipped).toEqual([{ reason: 'not tried: wave "canary" failed: 1 of 1 failed', count: 4 }]);
    await fleet.of(fleet.tenants[4], 'drop table in_the_way');
    expect((await up(fleet.config, { failed: 'last' })).counts).toMatchObject({ total: 5, migrated: 5 });
  });

  test('fleet 5: waves of the configuration by label, in order, each with its own limit, the rest last', async () => {
    const fleet = await makeFleet(databases, { count: 6 });
    await label(fleet, 'inner', [6]);
    await label(fleet, 'gold', [2, 3]);
    await fleet.of(fleet.tenants[1], 'create table in_the_way ()');
    const waves = [
      { name: 'inner', labels: { tier: 'inner' } },
      { name: 'nobody', labels: { tier: 'none' } },
      { name: 'gold', labels: { tier: 'gold' }, concurrency: 1, maxFailures: 2 },
    ];
    const report = await up({ ...fleet.config, waves }, { all: true });
    expect(report.waves?.map(({ name, outcome, counts }) => [name, outcome, counts.total])).toEqual([
      ['inner', 'done', 1],
      ['gold', 'done', 2],
      ['rest', 'done', 3],
    ]);
    expect(report.counts).toMatchObject({ migrated: 5, refused: 1 });

    const strict = waves.map(({ name, labels }) => ({ name, labels }));
    const again = await up({ ...fleet.config, waves: strict }, { all: true });
    expect(again.waves?.map(({ outcome }) => outcome)).toEqual(['done', 'failed', 'skipped']);
    const named = await up({ ...fleet.config, waves: strict }, { tenants: ['2', '4'] });
    expect(named.waves).toBeUndefined();
  });

  test('fleet 4: the limit of the run counts over all waves', async () => {
    const fleet = await makeFleet(databases, { count: 6, files: { 'core/1_bad.sql': 'select 1/0;' } });
    await label(fleet, 'gold', [1, 2]);
    const waves = [{ name: 'gold', labels: { tier: 'gold' }, maxFailures: 3 }];
    const options = { maxFailures: 3, concurrency: 1 };
    const report = await up({ ...fleet.config, waves }, { all: true }, options);
    expect(report.counts).toMatchObject({ failed: 3, skipped: 3 });
    expect(report.waves?.map(({ counts }) => counts.failed)).toEqual([2, 1]);
  });

  test('fleet 5: who is asked between waves and says no ends the run', async () => {
    const fleet = await makeFleet(databases, { count: 3 });
    const asked: unknown[] = [];
    const report = await up(
      fleet.config,
      { all: true },
      {
        canary: 1,
        beforeWave: (question) => {
          asked.push(question);
          return Promise.resolve(false);
        },
      },
    );
    expect(asked).toMatchObject([{ previous: { name: 'canary' }, next: { name: 'rest', total: 2 } }]);
    expect(report).toMatchObject({ interrupted: true, counts: { migrated: 1, skipped: 2 } });
    expect(report.skipped[0]?.reason).toBe('not tried: stopped before wave "rest"');
  });

  test('--canary takes a number or a share', async () => {
    const fleet = await makeFleet(databases, { count: 0 });
    for (const canary of ['0', 'x', '101%']) {
      await expect(up(fleet.config, { all: true }, { canary })).rejects.toMatchObject({ code: 'USAGE' });
    }
  });
});
