import { describe, expect, test } from 'vitest';
import type { Tenant } from '../../src/central/list/tenant.ts';
import { MpmError } from '../../src/errors.ts';
import { attemptOf, type TenantAttempt } from '../../src/fleet/attempt.ts';
import { type LaneOptions, type StopReason, runLanes } from '../../src/fleet/schedule/lanes.ts';
import type { Pressure } from '../../src/fleet/schedule/limit.ts';

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

async function* tenants(count: number, server = 'default'): AsyncGenerator<Tenant> {
  for (let id = 1; id <= count; id++) {
    yield { id: String(id), name: `t${id}`, database: `t${id}`, server, status: 'active', labels: {} };
  }
}

interface Seen {
  settled: { id: string; attempts: number; failed: boolean }[];
  notTried: { id: string; reason: StopReason }[];
  order: string[];
  most: number;
}

type Outcome = Partial<TenantAttempt<number>> | void;

/** Runs lanes over tenants whose attempts end as `attempt` says, and notes what happened. */
async function run(
  count: number,
  attempt: (tenant: Tenant, attempt: number) => Outcome | Promise<Outcome>,
  options: Partial<LaneOptions<number>> & { concurrency?: number } = {},
): Promise<Seen> {
  const { concurrency = 4, ...rest } = options;
  const seen: Seen = { settled: [], notTried: [], order: [], most: 0 };
  let active = 0;
  await runLanes<number>({
    servers: [{ name: 'default', tenants: tenants(count), concurrency }],
    retries: 10,
    backoff: () => 5,
    maxFailures: Infinity,
    work: {
      async attempt(tenant, before) {
        const number = (before?.detail ?? 0) + 1;
        active += 1;
        seen.most = Math.max(seen.most, active);
        seen.order.push(tenant.id);
        const said = (await attempt(tenant, number)) ?? {};
        active -= 1;
        return { ...FINE, detail: number, ...said };
      },
      onRetry: () => undefined,
      onEnd: (tenant, { outcome }, attempts) => {
        seen.settled.push({ id: tenant.id, attempts, failed: outcome === 'failed' });
      },
      onNotTried: (tenant, reason) => {
        seen.notTried.push({ id: tenant.id, reason });
      },
    },
    ...rest,
  });
  return seen;
}

const FINE: TenantAttempt<number> = attemptOf({ outcome: 'current' });

const refused = (pressure?: Pressure): Partial<TenantAttempt<number>> => ({
  outcome: 'failed',
  retryable: true,
  ...(pressure ? { error: pressing(pressure) } : {}),
});

/** What a server answers that is full, or not there. */
function pressing(pressure: Pressure): MpmError {
  if (pressure === 'full')
    return new MpmError('CONNECTION', 'full', { database: { code: '53300', message: 'full' } });
  const cause = Object.assign(new Error('refused'), { code: 'ECONNREFUSED' });
  return new MpmError('CONNECTION', 'refused', { cause });
}

describe('fleet 3: lanes', () => {
  test('fleet 3: take the next as they come free, and never more than the limit', async () => {
    let others = 0;
    let release = (): void => undefined;
    const allOthers = new Promise<void>((resolve) => (release = resolve));
    const seen = await run(50, async (tenant) => {
      if (tenant.id === '1') return allOthers;
      await pause(2);
      others += 1;
      if (others === 49) release();
      return undefined;
    });
    expect(seen.settled).toHaveLength(50);
    expect(seen.most).toBe(4);
    expect(seen.settled.findIndex(({ id }) => id === '1')).toBeGreaterThan(45);
  });

  test('fleet 3: no tenants, no work', async () => {
    expect((await run(0, () => undefined)).settled).toEqual([]);
  });

  test('fleet 3: every server has lanes of its own', async () => {
    const seen = new Map<string, number>();
    const both = ['a', 'b'].map((name) => ({
      name,
      tenants: tenants(10, name),
      concurrency: name === 'a' ? 1 : 3,
    }));
    const active = new Map<string, number>();
    await run(0, () => undefined, {
      servers: both,
      work: {
        async attempt({ server }) {
          active.set(server, (active.get(server) ?? 0) + 1);
          seen.set(server, Math.max(seen.get(server) ?? 0, active.get(server) ?? 0));
          await pause(2);
          active.set(server, (active.get(server) ?? 0) - 1);
          return FINE;
        },
        onRetry: () => undefined,
        onEnd: () => undefined,
        onNotTried: () => undefined,
      },
    });
    expect(Object.fromEntries(seen)).toEqual({ a: 1, b: 3 });
  });

  test('fleet 3: a full server halves the lanes, success raises them again', async () => {
    let allowed = Infinity;
    let active = 0;
    const most: number[] = [];
    const seen = await run(
      200,
      async () => {
        active += 1;
        most.push(active);
        if (most.length > 60) allowed = 3;
        if (most.length > 150) allowed = Infinity;
        const full = active > allowed;
        await pause(3);
        active -= 1;
        return full ? refused('full') : undefined;
      },
      { concurrency: 16 },
    );
    expect(seen.settled.filter(({ failed }) => failed)).toEqual([]);
    expect(seen.settled).toHaveLength(200);
    expect(Math.max(...most.slice(100, 140))).toBeLessThan(9);
    expect(Math.max(...most.slice(-60))).toBeGreaterThan(4);
  });

  test('fleet 3: a server that refuses everybody is given up soon, and every tenant is accounted for', async () => {
    const seen = await run(3000, () => refused('unreachable'), { concurrency: 8, backoff: () => 100 });
    expect(seen.settled).toHaveLength(3000);
    expect(seen.settled.every(({ failed }) => failed)).toBe(true);
    expect(seen.order.length).toBeLessThan(100);
  });
});

describe('engine 19: retries', () => {
  test('engine 19: a tenant that waits gives its lane up and comes again behind the others', async () => {
    const seen = await run(
      20,
      (tenant, attempt) => (tenant.id === '1' && attempt < 3 ? refused() : undefined),
      {
        concurrency: 1,
      },
    );
    expect(seen.order.slice(0, 20)).toEqual(Array.from({ length: 20 }, (_, index) => String(index + 1)));
    expect(seen.order.slice(20)).toEqual(['1', '1']);
    expect(seen.settled.at(-1)).toEqual({ id: '1', attempts: 3, failed: false });
  });

  test('engine 19: at most so many times', async () => {
    const seen = await run(1, () => refused(), { retries: 2 });
    expect(seen.settled).toEqual([{ id: '1', attempts: 3, failed: true }]);
  });

  test('fleet 2: thousands that wait do not fill the memory', async () => {
    let waiting = 0;
    let most = 0;
    const seen = await run(
      2500,
      (_, attempt) => {
        if (attempt > 1) {
          waiting -= 1;
          return undefined;
        }
        waiting += 1;
        most = Math.max(most, waiting);
        return refused();
      },
      { backoff: () => 1 },
    );
    expect(seen.settled).toHaveLength(2500);
    expect(most).toBeLessThanOrEqual(1004);
  });
});

describe('fleet 4: stopping', () => {
  test('fleet 4: the failure budget stops starting new ones; the rest is counted as not tried', async () => {
    const seen = await run(
      100,
      async () => {
        await pause(1);
        return { outcome: 'failed' };
      },
      { maxFailures: 5 },
    );
    expect(seen.settled.length).toBeGreaterThanOrEqual(5);
    expect(seen.settled.length).toBeLessThanOrEqual(8);
    expect(seen.notTried).toHaveLength(100 - seen.settled.length);
    expect(new Set(seen.notTried.map(({ reason }) => reason))).toEqual(new Set(['max-failures']));
  });

  test('fleet 6: an abort lets those in work finish, ends those that wait with what they said, starts nothing', async () => {
    const abort = new AbortController();
    const seen = await run(
      100,
      async (tenant) => {
        if (tenant.id === '2') return refused();
        if (tenant.id === '10') setTimeout(() => abort.abort(), 1);
        await pause(10);
        return undefined;
      },
      { signal: abort.signal, backoff: () => 60_000 },
    );
    expect(seen.settled.length + seen.notTried.length).toBe(100);
    expect(seen.settled.find(({ id }) => id === '2')).toEqual({ id: '2', attempts: 1, failed: true });
    expect(seen.notTried.length).toBeGreaterThan(80);
  });

  test('a list that breaks off ends with its error, after what was begun', async () => {
    async function* broken(): AsyncGenerator<Tenant> {
      yield* tenants(3);
      throw new Error('central is gone');
    }
    const settled: string[] = [];
    const running = runLanes<number>({
      servers: [{ name: 'default', tenants: broken(), concurrency: 8 }],
      retries: 1,
      backoff: () => 5,
      maxFailures: Infinity,
      work: {
        async attempt(tenant, before) {
          await pause(20);
          return { ...FINE, retryable: tenant.id === '1' && before === undefined };
        },
        onRetry: () => undefined,
        onEnd: (tenant, _, attempts) => {
          settled.push(`${tenant.id}:${attempts}`);
        },
        onNotTried: () => undefined,
      },
    });
    await expect(running).rejects.toThrow('central is gone');
    expect(settled).toEqual(['2:1', '3:1', '1:2']);
  });
});
