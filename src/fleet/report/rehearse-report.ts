import type { LockMode } from '../../engine/sql/effects/lock-mode.ts';
import type { RunReport, TenantRef } from './report.ts';

/** A migration that went through in a rehearsal, over all tenants. Times in ms, sizes in bytes. */
export interface RehearsedMigration {
  name: string;
  /** In how many tenants. */
  count: number;
  /** Of all of them together. */
  durationMs: number;
  longest: { tenant: TenantRef; durationMs: number };
  /** Locks that were really taken on tables that were there before, the strongest of each table. */
  locks: { table: string; mode: LockMode; count: number }[];
  /** Tables that were really written anew. */
  rewritten: { table: string; count: number; largest: { tenant: TenantRef; bytes: number } }[];
}

/** Tenants in which a migration, and all behind it, were not rehearsed for the same reason. */
export interface UnrehearsedGroup {
  migration: string;
  reason: string;
  count: number;
  /** The first five. */
  tenants: TenantRef[];
}

/** How long an `up` of the same tenants would take, on one server. Times in ms. */
export interface ServerForecast {
  server: string;
  durationMs: number;
  /** Tenants at once. */
  concurrency: number;
  longest: { tenant: TenantRef; durationMs: number };
}

/** What a rehearsal found: what `--json` prints and the library returns. `counts.failed` would fail. */
export interface RehearseReport extends RunReport {
  /** In the order of names. */
  migrations: RehearsedMigration[];
  /** The largest group first. */
  unrehearsed: UnrehearsedGroup[];
  /** How long `up` would take; absent when nothing was rehearsed. */
  forecast?: {
    durationMs: number;
    /** False: some tenants, or some of their migrations, were not rehearsed to the end. */
    complete: boolean;
    servers: ServerForecast[];
  };
}
