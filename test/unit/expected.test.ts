import { expect, test } from 'vitest';
import { ExpectedWork } from '../../src/ui/progress/expected.ts';
import type { RunEvent } from '../../src/fleet/events.ts';
import type { TenantRef } from '../../src/fleet/report/report.ts';
import { result, tenant } from '../helpers/samples.ts';

function ended(who: TenantRef, at: number, durationMs: number): RunEvent {
  return { type: 'tenant-finished', at, result: result(who, { durationMs }) };
}

/** The longest first on so many lanes: what is said at a time, against what is left then. */
function simulate(known: readonly number[], lanes: number, pace: number) {
  const work = new ExpectedWork({ default: known.reduce((sum, ms) => sum + ms, 0) });
  const free = Array.from({ length: lanes }, () => 0);
  const events = known.flatMap((expectedMs, index) => {
    const lane = free.indexOf(Math.min(...free));
    const from = free[lane] ?? 0;
    const to = from + expectedMs * pace;
    free[lane] = to;
    const who = tenant(`t${index}`, String(index));
    return [
      {
        at: from,
        order: 1,
        take: () => work.take({ type: 'tenant-started', at: from, tenant: who, expectedMs }),
      },
      {
        at: to,
        order: 0,
        take: () => work.take(ended(who, to, to - from)),
      },
    ];
  });
  const end = Math.max(...free);
  const said: { left: number | undefined; truth: number }[] = [];
  for (const { at, take } of events.toSorted((a, b) => a.at - b.at || a.order - b.order)) {
    take();
    if (at > end / 3) said.push({ left: work.left(at), truth: end - at });
  }
  return said;
}

test('confidence 5: the time left of an uneven fleet is the truth within a third, whatever the pace', () => {
  // Log-normal: the largest takes thirty times what the middle one does.
  const uneven = Array.from({ length: 200 }, (_, index) => 500 * Math.exp(1.24 * 2.75 * (1 - index / 100)));
  for (const pace of [0.2, 1, 3]) {
    const said = simulate(uneven, 8, pace);
    expect(said.length).toBeGreaterThan(100);
    for (const { left = Infinity, truth } of said) {
      expect(Math.abs(left - truth)).toBeLessThan(Math.max(2000, 0.3 * truth));
    }
  }
});

test('confidence 5: one giant that is at work alone counts as what it is', () => {
  const said = simulate([60_000, ...Array.from({ length: 20 }, () => 1000)], 4, 1);
  expect(said.at(-2)?.left).toBe(said.at(-2)?.truth);
});

test('confidence 5: a tenant that comes again is still work', () => {
  const work = new ExpectedWork({ default: 30_000 });
  const [a, b] = [tenant('a', '1'), tenant('b', '2')];
  work.take({ type: 'tenant-started', at: 0, tenant: a, expectedMs: 10_000 });
  work.take(ended(a, 10_000, 10_000));
  work.take({ type: 'tenant-started', at: 10_000, tenant: b, expectedMs: 20_000 });
  expect(work.left(15_000)).toBe(15_000);
  work.take({ type: 'tenant-waiting', at: 15_000, tenant: b, reason: 'deadlock', retryInMs: 1000 });
  expect(work.left(15_000)).toBe(20_000);
  work.take({ type: 'tenant-started', at: 16_000, tenant: b, expectedMs: 20_000 });
  expect(work.left(16_000)).toBe(20_000);
});
