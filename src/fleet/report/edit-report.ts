import type { ErrorReport } from '../../errors.ts';
import type { FailureGroup, TenantRef } from './report.ts';

/**
 * One change of a history; nothing is run. `record`: enters it as baseline. `accept`: takes the file as it is now
 * for what was applied. `mark-applied`: what was half-done is done. `forget`: removes its row. `source`: says whose it is.
 * `empty`: that it is empty because nothing is applied. `stamp`: the head stamp says again what the history says.
 */
export interface HistoryChange {
  action: 'record' | 'accept' | 'mark-applied' | 'forget' | 'source' | 'empty' | 'stamp';
  name: string;
  /** As the journal says it. */
  why: string;
}

/** Tenants whose histories are changed in the same way. */
export interface EditGroup {
  changes: HistoryChange[];
  count: number;
  /** The first five. */
  tenants: TenantRef[];
}

/** One tenant, when tenants were selected by name. */
export interface EditResult {
  tenant: TenantRef;
  outcome: 'changed' | 'unchanged' | 'failed' | 'busy' | 'skipped';
  changes: HistoryChange[];
  error?: ErrorReport;
  reason?: string;
}

export interface EditCounts {
  total: number;
  /** Or would be, when nothing was written. */
  changed: number;
  unchanged: number;
  failed: number;
  busy: number;
  skipped: number;
}

/** What `repair`, `baseline` and `resolve` did to histories, or would do. */
export interface EditReport {
  verb: 'repair' | 'baseline' | 'resolve';
  selection: string;
  toolVersion: string;
  startedAt: string;
  durationMs: number;
  interrupted: boolean;
  /** False: it is only shown what would be done. */
  write: boolean;
  counts: EditCounts;
  groups: EditGroup[];
  failures: FailureGroup[];
  skipped: { reason: string; count: number }[];
  notices: string[];
  /** What is wrong with the selection: it names a label that nobody has, or only tenants that are on hold. */
  unmet?: string;
  tenants?: EditResult[];
  /** Set when not all could be done. */
  error?: ErrorReport;
}
