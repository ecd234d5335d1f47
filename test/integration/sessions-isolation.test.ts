import { setTimeout as sleep } from 'node:timers/promises';
import { sql } from 'kysely';
import { expect, test } from 'vitest';
import type { MpmError } from '../../src/errors.ts';
import type { Fleet } from '../../src/fleet/fleet.ts';
import type { TestTenant } from '../helpers/fleet.ts';
import { withDatabases } from '../helpers/database.ts';
import { openSessions, type Owned } from '../helpers/sessions.ts';

const databases = withDatabases();

const TENANTS = 50;
const SESSIONS = 200;
const CEILING = 20;
const QUERIES = 40_000;

interface Tally {
  /** Queries that were answered. */
  answered: number;
  /** Of them, those by another database than the tenant's own. */
  strayed: number;
  /** Failures of our making: a query, a transaction, a killed connection. */
  failed: number;
}

test(
  'fleet 18: 200 sessions over 50 tenants on 20 connections, with failures and evictions: 40,000 queries, each in its own database',
  { timeout: 600_000 },
  async () => {
    const { made, fleet } = await openSessions(databases, {
      count: TENANTS,
      sessions: { connections: CEILING, perTenant: 4, waitTimeout: 60_000, idleTimeout: 2000 },
    });
    const tally: Tally = { answered: 0, strayed: 0, failed: 0 };
    const watch = watchServer(made.tenants.map(({ database }) => database));
    await Promise.all(Array.from({ length: SESSIONS }, () => session(fleet, made.tenants, tally)));
    const most = await watch.stop();

    expect(tally.strayed).toBe(0);
    expect(tally.answered).toBeGreaterThanOrEqual(QUERIES);
    expect(tally.failed).toBeGreaterThan(100);
    const stats = fleet.stats();
    expect(stats).toMatchObject({ connections: CEILING, inUse: 0, waiting: 0 });
    expect(stats.peak).toBe(CEILING);
    expect(stats.evicted).toBeGreaterThan(TENANTS);
    expect(most.connections).toBeLessThanOrEqual(CEILING);
    expect(most.looks).toBeGreaterThan(20);
    expect(most.killed).toBeGreaterThan(10);
    // Nothing leaked: what is open is idle, and goes.
    expect(await openOn(made.tenants)).toBe(stats.open);
    await fleet.close();
    expect(fleet.stats().open).toBe(0);
    expect(await openOn(made.tenants)).toBe(0);
  },
);

/** A user who goes from tenant to tenant until all queries are done. */
async function session(fleet: Fleet, tenants: readonly TestTenant[], tally: Tally): Promise<void> {
  while (tally.answered < QUERIES) {
    const tenant = tenants[Math.floor(Math.random() * tenants.length)]!;
    const many = 20 + Math.floor(Math.random() * 100);
    await fleet
      .run(tenant.id, async () => {
        for (let n = 0; n < many && tally.answered < QUERIES; n += 1) await act(fleet, tenant, tally);
        if (Math.random() < 0.1) throw new Error('thrown on purpose');
      })
      .catch((error: unknown) => {
        tally.failed += 1;
        if (!isExpected(error)) throw error;
      });
  }
}

async function act(fleet: Fleet, { id, database }: TestTenant, tally: Tally): Promise<void> {
  const { db, tenant } = fleet.current<Owned>();
  const answer = (row: { database: string; id: number } | undefined) => {
    tally.answered += 1;
    if (row?.database !== database || String(row.id) !== id || tenant.id !== id) tally.strayed += 1;
  };
  const ask = (from: typeof db) =>
    from
      .selectFrom('owner')
      .select(['id', sql<string>`current_database()`.as('database')])
      .executeTakeFirst();
  const chance = Math.random();
  if (chance < 0.004) await sql`select 1 / 0`.execute(db);
  else if (chance < 0.006) await sql`begin`.execute(db);
  else if (chance < 0.05) {
    await db.transaction().execute(async (transaction) => {
      answer(await ask(transaction));
      answer(await ask(transaction));
      if (chance < 0.01) throw new Error('thrown on purpose');
    });
  } else answer(await ask(db));
}

function isExpected(error: unknown): boolean {
  const { message, code } = error as MpmError & { code?: string };
  // Division by zero, killed by the watcher (by its own message, or by the socket's end).
  return (
    message === 'thrown on purpose' ||
    ['22012', '57P01'].includes(code ?? '') ||
    /Connection terminated|ECONNRESET/.test(message)
  );
}

/** Looks at the server all the time, and kills a connection now and then. */
function watchServer(names: readonly string[]) {
  const most = { connections: 0, looks: 0, killed: 0 };
  const list = names.map((name) => `'${name}'`).join(', ');
  const mine = `datname in (${list}) and backend_type = 'client backend' and application_name like 'mpm-migrate/session/%'`;
  const stop = new AbortController();
  const look = async (): Promise<typeof most> => {
    while (!stop.signal.aborted) {
      const kill = most.looks % 5 === 4;
      const [row] = await databases.query<{ count: number; killed: number }>(
        `select count(*)::int as count, count(*) filter (where killed)::int as killed from (
          select case when ${kill} and random() < 0.1 then pg_terminate_backend(pid) end as killed
          from pg_stat_activity where ${mine}) a`,
      );
      most.looks += 1;
      most.connections = Math.max(most.connections, row?.count ?? 0);
      most.killed += row?.killed ?? 0;
      await sleep(100);
    }
    return most;
  };
  const looking = look();
  return {
    stop: () => {
      stop.abort();
      return looking;
    },
  };
}

async function openOn(tenants: readonly TestTenant[]): Promise<number> {
  const list = tenants.map(({ database }) => `'${database}'`).join(', ');
  const [row] = await databases.query<{ count: number }>(
    `select count(*)::int as count from pg_stat_activity where datname in (${list}) and backend_type = 'client backend'`,
  );
  return row?.count ?? 0;
}
