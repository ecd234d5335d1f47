import { expect, test, vi } from 'vitest';
import { failureKey } from '../../src/fleet/report/collect.ts';
import { startProgress } from '../../src/ui/progress/progress.ts';
import { duplicateColumn, finished, plain, runReport, started, tenant } from '../helpers/samples.ts';

function lines() {
  const written: string[] = [];
  let now = 0;
  const progress = startProgress({
    stream: { isTTY: false } as NodeJS.WriteStream,
    env: {},
    theme: plain(0),
    failureKey,
    write: (text) => written.push(text),
    clock: () => now,
  });
  return { progress, written, pass: (ms: number) => (now += ms) };
}

test('off a terminal: plain lines, a heartbeat every 10 %, failures as they happen', async () => {
  const { progress, written, pass } = lines();
  progress.onEvent(started(40));
  for (let index = 1; index <= 40; index += 1) {
    pass(100);
    progress.onEvent(finished(tenant(`grid-${index}`), index === 5 ? duplicateColumn : undefined));
  }
  progress.onEvent({ type: 'run-finished', at: 0, report: runReport() });
  await progress.stop();
  expect(written.join('')).toBe(`Migrating 40 tenants (--all, run 184)
4/40 (10%)   0s
✖ grid-5  20260814091200_add_meter_status: column "status" of relation "meters" already exists (42701)
8/40 (20%)   1 failed   0s
12/40 (30%)   1 failed   1s
16/40 (40%)   1 failed   1s
20/40 (50%)   1 failed   2s, about 2s left
24/40 (60%)   1 failed   2s, about 2s left
28/40 (70%)   1 failed   2s, about 2s left
32/40 (80%)   1 failed   3s, about 1s left
36/40 (90%)   1 failed   3s, about 1s left
`);
  expect(written.join('')).not.toContain('\u001b');
});

test('off a terminal: a sign of life every 10 s', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  try {
    const { progress, written, pass } = lines();
    progress.onEvent(started(1000));
    for (let second = 0; second < 25; second += 1) {
      pass(1000);
      vi.advanceTimersByTime(1000);
    }
    await progress.stop();
    expect(written).toEqual([
      'Migrating 1,000 tenants (--all, run 184)\n',
      '0/1,000 (0%)   10s\n',
      '0/1,000 (0%)   20s\n',
    ]);
  } finally {
    vi.useRealTimers();
  }
});

test('off a terminal: of tenants that fail the same way five are named', async () => {
  const { progress, written } = lines();
  progress.onEvent(started(100_000));
  for (let index = 0; index < 400; index += 1) {
    progress.onEvent(finished(tenant(`grid-${index}`), duplicateColumn));
  }
  await progress.stop();
  expect(written.filter((line) => line.startsWith('✖ grid-'))).toHaveLength(5);
  expect(written.at(-1)).toBe('✖ more fail the same way: counted from now on, not listed\n');
});
