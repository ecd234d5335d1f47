import type { Rehearsal } from '../../engine/rehearse/rehearse.ts';
import type { RehearsedStep } from '../../engine/rehearse/step.ts';
import { LOCK_MODES, type LockMode, stronger } from '../../engine/sql/effects/lock-mode.ts';
import { compareNames, type Order } from '../../engine/source/name.ts';
import { Groups } from './groups.ts';
import type { RehearsedMigration, RehearseReport, ServerForecast } from './rehearse-report.ts';
import type { TenantRef } from './report.ts';

interface Lanes {
  sum: number;
  longest: ServerForecast['longest'];
  concurrency: number;
}

/** Gathers rehearsals; memory grows with migrations and tables, and not with tenants. */
export class Rehearsals {
  readonly #order: Order;
  readonly #migrations = new Map<string, RehearsedMigration>();
  readonly #unrehearsed = new Groups<{ migration: string; reason: string }>();
  readonly #servers = new Map<string, Lanes>();
  #complete = true;

  constructor(order: Order) {
    this.#order = order;
  }

  /** One that would fail, or can't be looked at. */
  addFailed(): void {
    this.#complete = false;
  }

  /**
   * @param durationMs of all that was done there
   * @param concurrency tenants at once on its server
   */
  add(
    tenant: TenantRef,
    { steps, unrehearsed }: Rehearsal,
    { durationMs, concurrency }: { durationMs: number; concurrency: number },
  ): void {
    for (const step of steps) this.#addStep(tenant, step);
    if (unrehearsed) {
      this.#complete = false;
      const { name: migration, reason } = unrehearsed;
      this.#unrehearsed.add(tenant, `${migration}\n${reason.replaceAll(/\d+/g, '#')}`, () => ({
        migration,
        reason,
      }));
    }
    const lanes = this.#servers.get(tenant.server);
    const longest = { tenant, durationMs };
    if (!lanes) this.#servers.set(tenant.server, { sum: durationMs, longest, concurrency });
    else {
      lanes.sum += durationMs;
      if (durationMs > lanes.longest.durationMs) lanes.longest = longest;
    }
  }

  #addStep(tenant: TenantRef, { name, durationMs, locks, rewritten }: RehearsedStep): void {
    let found = this.#migrations.get(name);
    if (!found) {
      found = { name, count: 0, durationMs: 0, longest: { tenant, durationMs: 0 }, locks: [], rewritten: [] };
      this.#migrations.set(name, found);
    }
    found.count += 1;
    found.durationMs += durationMs;
    if (durationMs >= found.longest.durationMs) found.longest = { tenant, durationMs };
    for (const { table, mode } of locks) {
      const known = found.locks.find((each) => each.table === table);
      if (!known) {
        if (found.locks.length < MOST_TABLES) found.locks.push({ table, mode, count: 1 });
        continue;
      }
      known.count += 1;
      known.mode = stronger(known.mode, mode);
    }
    for (const { table, bytes } of rewritten) {
      const known = found.rewritten.find((each) => each.table === table);
      if (!known) {
        if (found.rewritten.length < MOST_TABLES)
          found.rewritten.push({ table, count: 1, largest: { tenant, bytes } });
        continue;
      }
      known.count += 1;
      if (bytes > known.largest.bytes) known.largest = { tenant, bytes };
    }
  }

  report(): Pick<RehearseReport, 'migrations' | 'unrehearsed' | 'forecast'> {
    const servers = [...this.#servers].map(([server, { sum, longest, concurrency }]) => ({
      server,
      // No schedule is shorter than its longest part, nor than its lanes when all are at work to the end.
      durationMs: Math.max(longest.durationMs, sum / concurrency),
      concurrency,
      longest,
    }));
    const durationMs = Math.max(0, ...servers.map((each) => each.durationMs));
    return {
      migrations: [...this.#migrations.values()]
        .map(inOrder)
        .sort((a, b) => compareNames(a.name, b.name, this.#order)),
      unrehearsed: this.#unrehearsed.list().map(({ what, count, tenants }) => ({ ...what, count, tenants })),
      ...(servers.length ? { forecast: { durationMs, complete: this.#complete, servers } } : {}),
    };
  }
}

/** What was met first is chance. */
function inOrder(migration: RehearsedMigration): RehearsedMigration {
  const { locks, rewritten } = migration;
  const strength = ({ mode }: { mode: LockMode }) => LOCK_MODES.indexOf(mode);
  return {
    ...migration,
    locks: locks.toSorted((a, b) => strength(b) - strength(a) || a.table.localeCompare(b.table)),
    rewritten: rewritten.toSorted((a, b) => b.largest.bytes - a.largest.bytes),
  };
}

/** So many tables of a migration are told apart: a tenant may call its own what it likes. */
const MOST_TABLES = 100;
