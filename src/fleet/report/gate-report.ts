import type { ErrorReport } from '../../errors.ts';
import type { TenantRef } from './report.ts';

/** A tenant that `gate` waits for. */
export interface Straggler {
  tenant: TenantRef;
  /** The migration applied last. */
  head: string | null;
  /** The first one that it lacks. */
  lacks: string;
}

/** Whether all tenants have a migration: what `--json` prints and the library returns. */
export interface GateReport {
  verb: 'gate';
  /** The migration's name. */
  atLeast: string;
  selection: string;
  toolVersion: string;
  startedAt: string;
  durationMs: number;
  interrupted: boolean;
  /** All that count have it, and all that come before. */
  open: boolean;
  /** `passed`: on hold, or not active: they do not count. */
  counts: Record<'total' | 'there' | 'behind' | 'unreachable' | 'passed', number>;
  /** Of so many it was read off their head stamps, without a connection to them. */
  stamped: number;
  /** The first hundred, in the order of ids. */
  stragglers: Straggler[];
  /** The first hundred. */
  unreachable: { tenant: TenantRef; error: ErrorReport }[];
  /** The first hundred. */
  passed: { tenant: TenantRef; reason: string }[];
  /** What is wrong with the selection. */
  unmet?: string;
  /** Set when not all could be looked at. */
  error?: ErrorReport;
}
