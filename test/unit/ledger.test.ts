import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { LedgerWriter } from '../../src/fleet/ledger.ts';
import type { TenantResult } from '../../src/fleet/report/report.ts';

function result(id: number): TenantResult {
  const tenant = { id: String(id), name: `t${id}`, database: `t${id}`, server: 'default' };
  return {
    tenant,
    outcome: 'current',
    from: null,
    to: null,
    applied: [],
    pending: [],
    durationMs: 1,
    attempts: 1,
    notices: [],
  };
}

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

test('fleet 8: results are written in batches, within a second', async () => {
  const batches: number[] = [];
  const ledger = new LedgerWriter(async (batch) => void batches.push(batch.length));
  for (let id = 0; id < 30; id++) await ledger.record(result(id));
  expect(batches).toEqual([]);
  await vi.advanceTimersByTimeAsync(1000);
  expect(batches).toEqual([30]);
  for (let id = 0; id < 203; id++) await ledger.record(result(id));
  await ledger.close();
  expect(batches).toEqual([30, 100, 100, 3]);
});

test('fleet 8: what ends while a batch is written goes with the next one, and is not left behind', async () => {
  const batches: number[] = [];
  const ledger = new LedgerWriter(async (batch) => {
    await new Promise((resolve) => setTimeout(resolve, 800));
    batches.push(batch.length);
  });
  for (let id = 0; id < 150; id++) await ledger.record(result(id));
  await vi.advanceTimersByTimeAsync(1700);
  expect(batches).toEqual([100, 50]);
  for (let id = 0; id < 350; id++) await ledger.record(result(id));
  const closing = ledger.close();
  await vi.advanceTimersByTimeAsync(2000);
  await closing;
  expect(batches).toEqual([100, 50, 100, 250]);
});

test('fleet 11: a ledger that cannot be written is told once, and does not stop the rest', async () => {
  const told: string[] = [];
  let writes = 0;
  const ledger = new LedgerWriter(
    async () => {
      writes += 1;
      throw new Error('permission denied for table run_tenants');
    },
    (error) => told.push(error.message),
  );
  for (let id = 0; id < 3000; id++) await ledger.record(result(id));
  await ledger.close();
  await ledger.attempt(async () => void (writes += 1));
  expect(told).toEqual(['the ledger cannot be written: permission denied for table run_tenants']);
  expect(ledger.error).toMatchObject({ code: 'LEDGER_LOST', exit: 1 });
  expect(writes).toBe(1);
});

test('fleet 2: a slow ledger holds the lanes back instead of filling the memory', async () => {
  let finish: (() => void) | undefined;
  const ledger = new LedgerWriter(() => new Promise((resolve) => (finish = resolve)));
  let recorded = 0;
  const recording = (async () => {
    for (let id = 0; id < 5000; id++) {
      await ledger.record(result(id));
      recorded += 1;
    }
  })();
  await vi.advanceTimersByTimeAsync(5000);
  expect(recorded).toBeLessThan(2000);
  const finishing = setInterval(() => finish?.(), 10);
  await vi.advanceTimersByTimeAsync(5000);
  await recording;
  clearInterval(finishing);
  expect(recorded).toBe(5000);
});
