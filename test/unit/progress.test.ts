import { expect, test } from 'vitest';
import { failureKey } from '../../src/fleet/report/collect.ts';
import { Canvas } from '../../src/ui/progress/canvas.ts';
import { widthOf } from '../../src/ui/format.ts';
import { frame } from '../../src/ui/progress/frame.ts';
import { aboutLeft, Eta, ProgressState } from '../../src/ui/progress/state.ts';
import { duplicateColumn, finished, plain, started, tenant } from '../helpers/samples.ts';

function running(total: number, lanes: number, done = 0): ProgressState {
  const state = new ProgressState(failureKey);
  state.take(started(total));
  for (let index = 0; index < done; index += 1) state.take(finished(tenant(`done-${index}`)));
  for (let index = 1; index <= lanes; index += 1) {
    const who = tenant(`grid-${index}`);
    state.take({ type: 'tenant-started', at: index * 100, tenant: who });
    const name = '20260814091530_backfill_meter_status';
    state.take({ type: 'migration-started', at: 0, tenant: who, name, direction: 'up', index: 2, count: 3 });
  }
  return state;
}

const view = { rows: 24, now: 7000, left: 10_000, tick: 2 };

test('the frame on 80 columns: header, lanes with the slowest first, failures', () => {
  const state = running(996, 3, 410);
  state.take({ type: 'tenant-waiting', at: 0, tenant: tenant('grid-2'), reason: 'lock held by pid 7' });
  state.take({ type: 'tenant-started', at: 6900, tenant: tenant('abuja-9') });
  state.take(finished(tenant('kivu-grid', '71'), duplicateColumn));
  state.take(finished(tenant('goma', '72'), duplicateColumn));
  expect(frame(state, plain(80), { ...view, columns: 80 })).toEqual([
    '⠹ Migrating  ━━━━━━━━━╌╌╌╌╌╌╌╌╌╌╌╌╌╌  412/996   2 failed   7s, about 10s left',
    '  › grid-1   2/3  20260814091530_backfill_meter_status                     6.9s',
    '  › grid-2   2/3  waiting: lock held by pid 7                              6.8s',
    '  › grid-3   2/3  20260814091530_backfill_meter_status                     6.7s',
    '  › abuja-9       connecting                                               0.1s',
    '  ✖ kivu-grid and 1 more  column "status" of relation "meters" already exists…',
  ]);
});

test('the frame on 120 and on 60 columns', () => {
  const state = running(996, 1, 412);
  expect(frame(state, plain(120), { ...view, columns: 120 })).toEqual([
    '⠹ Migrating  ━━━━━━━━━╌╌╌╌╌╌╌╌╌╌╌╌╌╌╌  412/996   7s, about 10s left',
    `  › grid-1  2/3  20260814091530_backfill_meter_status${' '.repeat(60)}  6.9s`,
  ]);
  expect(frame(state, plain(60), { ...view, columns: 60, now: 127_000 })).toEqual([
    '⠹ Migrating  ━━━━╌╌╌╌╌╌  412/996   2m 07s, about 10s left',
    '  › grid-1  2/3  20260814091530_backfill_meter_sta…  2m 07s',
  ]);
});

test('no line is wider than the terminal, no frame as high', () => {
  for (const lanes of [0, 1, 5, 32, 300]) {
    for (const columns of [30, 40, 60, 80, 120, 300]) {
      for (const rows of [1, 3, 6, 12, 24, 60]) {
        const state = running(20_000, lanes, 40);
        for (const name of ['太陽光発電 株式会社', 'x'.repeat(200), '🔌🔌🔌', 'a', 'b', 'c', 'd']) {
          const message = `${name} is ${'long '.repeat(60)}`;
          state.take(finished({ ...tenant('t'), name }, { code: 'BUG', message }));
        }
        const lines = frame(state, plain(columns), { rows, columns, now: 3_700_000, left: 1e7, tick: 0 });
        expect(Math.max(...lines.map(widthOf)), `${lanes} lanes, ${columns}×${rows}`).toBeLessThan(columns);
        expect(lines.length, `${lanes} lanes, ${columns}×${rows}`).toBeLessThanOrEqual(Math.max(1, rows - 1));
      }
    }
  }
});

test('lanes that do not fit are counted', () => {
  const lines = frame(running(300, 40), plain(80), { ...view, rows: 12, columns: 80 });
  expect(lines).toHaveLength(11);
  expect(lines.at(-1)).toBe('    … 31 more');
});

test('what the progress keeps does not grow with the fleet', () => {
  const state = new ProgressState(failureKey);
  state.take(started(20_000));
  for (let index = 0; index < 20_000; index += 1) {
    const who = tenant(`grid-${index}`);
    state.take({ type: 'tenant-started', at: index, tenant: who });
    if (index % 3 === 0)
      state.take({ type: 'tenant-waiting', at: index, tenant: who, reason: 'x', retryInMs: 1 });
    const letters = index.toString(2).replaceAll('0', 'a').replaceAll('1', 'b');
    state.take(finished(who, { code: 'BUG', message: `no two are alike: ${letters}` }));
  }
  expect([state.done, state.failed, state.lanes.size, state.waitingForRetry]).toEqual([20_000, 20_000, 0, 0]);
  expect(state.failures.size).toBeLessThan(60);
});

test('a tenant that waits for another attempt leaves its lane and comes back', () => {
  const state = running(10, 2);
  const who = tenant('grid-1');
  state.take({ type: 'tenant-waiting', at: 0, tenant: who, reason: 'lock timeout', retryInMs: 500 });
  expect([state.lanes.size, state.waitingForRetry]).toEqual([1, 1]);
  state.take({ type: 'tenant-started', at: 0, tenant: who });
  expect([state.lanes.size, state.waitingForRetry]).toEqual([2, 0]);
});

test('time left: from the rate of the last while, and only when there is something to say', () => {
  const eta = new Eta();
  const at = (ms: number, done: number, running = 4, total = 1000) => {
    eta.note(ms, done);
    return eta.left({ at: ms, done, total, running });
  };
  expect(at(0, 0)).toBeUndefined();
  expect(at(1000, 50)).toBeUndefined();
  // 50 a second at first.
  for (let second = 2; second <= 10; second += 1) at(second * 1000, second * 50);
  expect(at(10_000, 500)).toBe(10_000);
  // Then the big tenants come: 5 a second. The estimate follows.
  for (let second = 11; second <= 30; second += 1) at(second * 1000, 500 + (second - 10) * 5);
  expect(at(30_000, 600)).toBe(80_000);
  // Nothing ends any more: no number is better than a wrong one.
  for (let second = 31; second <= 60; second += 1) at(second * 1000, 600);
  expect(at(60_000, 600)).toBeUndefined();
  // The last ones run: they may take any time.
  expect(eta.left({ at: 60_000, done: 996, total: 1000, running: 4 })).toBeUndefined();
});

test('time left in words, rounder when far', () => {
  expect([0, 900, 9_100, 12_000, 54_000, 61_000, 600_000, 3_900_000].map(aboutLeft)).toEqual([
    'about 0s left',
    'about 1s left',
    'about 10s left',
    'about 15s left',
    'about 55s left',
    'about 2m left',
    'about 10m left',
    'about 1h 05m left',
  ]);
});

test('the canvas repaints in place, gives way to others, and leaves the cursor as it was', () => {
  const written: string[] = [];
  const terminal = { columns: 20, rows: 10, write: (text: string) => written.push(text) };
  const canvas = new Canvas(terminal);
  canvas.paint(['one', 'two']);
  expect(written.splice(0)).toEqual(['\u001b[?25lone\u001b[K\ntwo\u001b[K\n\u001b[J']);
  canvas.paint(['three']);
  expect(written.splice(0)).toEqual(['\r\u001b[2Athree\u001b[K\n\u001b[J']);
  canvas.above('note');
  expect(written.splice(0)).toEqual([
    '\r\u001b[1A\u001b[K\n\u001b[K\r\u001b[1A\u001b[?25h',
    'note\n',
    '\u001b[?25lthree\u001b[K\n\u001b[J',
  ]);
  canvas.giveWay('half a line');
  written.length = 0;
  canvas.paint(['four']);
  expect(written.splice(0)).toEqual(['\u001b[?25l\nfour\u001b[K\n\u001b[J']);
  canvas.leave();
  expect(written.splice(0)).toEqual(['\u001b[?25h']);
});

test('a terminal made narrower has broken the lines: all of them are painted over', () => {
  const written: string[] = [];
  const terminal = { columns: 20, rows: 10, write: (text: string) => written.push(text) };
  const canvas = new Canvas(terminal);
  canvas.paint(['x'.repeat(19), 'y'.repeat(5)]);
  terminal.columns = 10;
  written.length = 0;
  canvas.paint(['z']);
  expect(written[0]).toMatch(/^\r\u001b\[3A/);
});
