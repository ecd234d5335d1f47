import type { ErrorReport } from '../../errors.ts';
import type { FailureGroup, TenantRef } from './report.ts';

/** Tenants that a snapshot isn't of, all in the same way. */
export interface SnapshotDifference {
  /** `history`: theirs holds other migrations. `schema`: it holds the same, and the schema is another. */
  of: 'history' | 'schema';
  count: number;
  /** The first five. */
  tenants: TenantRef[];
  /** Lines that say what is different. */
  differences: string[];
}

/** What `baseline --snapshot` made, or would make: what `--json` prints and the library returns. */
export interface SnapshotReport {
  verb: 'baseline';
  selection: string;
  write: boolean;
  toolVersion: string;
  startedAt: string;
  durationMs: number;
  interrupted: boolean;
  /** Its file. */
  path: string;
  bytes: number;
  /** Whose schema it is. */
  tenant: TenantRef;
  /** The first and the last migration that it stands for, and how many these are. */
  first: string;
  last: string;
  replaces: number;
  /** The program that wrote it. */
  pgDump: { path: string; version: string };
  /** `equal`: with these migrations and this schema; `beyond`: with more migrations behind them. */
  counts: Record<'total' | 'equal' | 'beyond' | 'different' | 'failed' | 'skipped', number>;
  differences: SnapshotDifference[];
  /** Tenants in none of these groups, of which there would be too many. */
  others: number;
  failures: FailureGroup[];
  notices: string[];
  /** Set when not all could be looked at; then nothing was written. */
  error?: ErrorReport;
}
