import type { LockMode } from '../../engine/sql/effects/lock-mode.ts';
import type { TenantRef } from './report.ts';

/** What one statement does to one table, over all tenants in which it is pending. Sizes in bytes. */
export interface ImpactGroup {
  migration: string;
  /** On one line, and cut. */
  statement: string;
  table: string;
  lock: LockMode;
  /** Whether all rows are written anew, under that lock. */
  rewrites: 'yes' | 'no' | 'unknown';
  /** Whether all rows are read, or an index of all of them is built, under that lock. */
  scans: 'yes' | 'no' | 'unknown';
  count: number;
  /** By the table's size, with indexes: under 10 MB, to 1 GB, over. */
  sizes: { small: number; medium: number; large: number };
  /** The five in which it is largest. */
  largest: { tenant: TenantRef; bytes: number }[];
}

/** What of a migration can't be known without running it. */
export interface ImpactUnknown {
  migration: string;
  what: string;
  count: number;
}

/** What is rewritten on one server. Sizes in bytes. */
export interface ServerImpact {
  server: string;
  rewritten: number;
  /** Tenants at once. */
  concurrency: number;
  /** How much more disk is used at most while so many tenants are migrated at once; WAL, and what is sorted, not counted. */
  disk: number;
  /** True: something may be rewritten that isn't counted. */
  more: boolean;
}

/** What pending migrations do to tables. */
export interface ImpactReport {
  /** In the order of migrations. */
  groups: ImpactGroup[];
  /** Statements on tables that are in none of the groups, of which there would be too many. */
  others: number;
  unknown: ImpactUnknown[];
  servers: ServerImpact[];
}
