import type { Impact, TableImpact } from '../../engine/impact/impact.ts';
import { compareNames, type Order } from '../../engine/source/name.ts';
import type { ImpactGroup, ImpactReport, ImpactUnknown } from './impact-report.ts';
import { compareIds, type TenantRef } from './report.ts';

/** So many are told apart: a tenant may call its tables what it likes. */
const MOST_GROUPS = 1000;
const NAMED = 5;
const SMALL = 10 * 1024 ** 2;
const MEDIUM = 1024 ** 3;

interface OnServer {
  rewritten: number;
  concurrency: number;
  /** What the tenants need that need most, as many as are at work at once. */
  most: number[];
  more: boolean;
}

/** Gathers impacts; memory grows with statements and tables, and not with tenants. */
export class Impacts {
  readonly #order: Order;
  readonly #groups = new Map<string, ImpactGroup>();
  readonly #unknown = new Map<string, ImpactUnknown>();
  readonly #servers = new Map<string, OnServer>();
  #others = 0;

  constructor(order: Order) {
    this.#order = order;
  }

  /** @param concurrency tenants at once on its server */
  add(tenant: TenantRef, { tables, unknown }: Impact, concurrency: number): void {
    for (const each of tables) this.#addTable(tenant, each);
    for (const { migration, what } of unknown) {
      const key = `${migration}\n${what}`;
      const known = this.#unknown.get(key);
      if (known) known.count += 1;
      else if (this.#unknown.size < MOST_GROUPS) this.#unknown.set(key, { migration, what, count: 1 });
    }
    const own = rewrittenBy(tables);
    const isMore = unknown.length > 0 || tables.some(({ rewrites }) => rewrites === 'unknown');
    if (own.size === 0 && !isMore) return;
    const { server } = tenant;
    const found = this.#servers.get(server) ?? { rewritten: 0, concurrency, most: [], more: false };
    this.#servers.set(server, found);
    found.more ||= isMore;
    for (const bytes of own.values()) found.rewritten += bytes;
    // A migration's old files are there until it commits; then they are gone.
    found.most.push(Math.max(0, ...own.values()));
    found.most = found.most.sort((a, b) => b - a).slice(0, concurrency);
  }

  #addTable(tenant: TenantRef, { bytes, ...what }: TableImpact): void {
    const key = JSON.stringify(what);
    let group = this.#groups.get(key);
    if (!group) {
      if (this.#groups.size >= MOST_GROUPS) {
        this.#others += 1;
        return;
      }
      group = { ...what, count: 0, sizes: { small: 0, medium: 0, large: 0 }, largest: [] };
      this.#groups.set(key, group);
    }
    group.count += 1;
    group.sizes[bytes < SMALL ? 'small' : bytes <= MEDIUM ? 'medium' : 'large'] += 1;
    group.largest.push({ tenant, bytes });
    group.largest.sort((a, b) => b.bytes - a.bytes || compareIds(a.tenant.id, b.tenant.id));
    group.largest.splice(NAMED);
  }

  report(): ImpactReport {
    const byName = (a: { migration: string }, b: { migration: string }) =>
      compareNames(a.migration, b.migration, this.#order);
    return {
      groups: [...this.#groups.values()].sort(byName),
      others: this.#others,
      unknown: [...this.#unknown.values()].sort(byName),
      servers: [...this.#servers].map(([server, { rewritten, concurrency, most, more }]) => ({
        server,
        rewritten,
        concurrency,
        disk: most.reduce((sum, bytes) => sum + bytes, 0),
        more,
      })),
    };
  }
}

/** Bytes that each migration writes anew: each time that a statement does. */
function rewrittenBy(tables: readonly TableImpact[]): Map<string, number> {
  const sums = new Map<string, number>();
  for (const { migration, bytes, rewrites } of tables)
    if (rewrites === 'yes') sums.set(migration, (sums.get(migration) ?? 0) + bytes);
  return sums;
}
