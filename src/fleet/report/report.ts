import type { ErrorReport } from '../../errors.ts';

/** One tenant's row in a report: who it is. */
export type TenantRef = { id: string; name: string; database: string; server: string };

/**
 * `migrated` and `reverted`: something was done. `current`: nothing to do. `pending`: looked at only, and behind.
 * `refused`: its plan was refused and it was not touched. `skipped`: not tried, `reason` says why.
 * `busy`: another runner held the lock for longer than the wait. `executed`: the statements of `exec` were run.
 * `drifted`: its schema is not what its history says (`verify`). `rehearsed`: what is pending went through, and was
 * rolled back (`rehearse`).
 */
export type Outcome =
  | 'migrated'
  | 'reverted'
  | 'current'
  | 'pending'
  | 'refused'
  | 'failed'
  | 'busy'
  | 'skipped'
  | 'executed'
  | 'drifted'
  | 'rehearsed';

const FAILURES: ReadonlySet<Outcome> = new Set(['failed', 'refused', 'busy', 'drifted']);

export function isFailure(outcome: Outcome): boolean {
  return FAILURES.has(outcome);
}

export interface AppliedMigration {
  name: string;
  direction: 'up' | 'down';
  durationMs: number;
}

/** What happened to one tenant in a run: one event that feeds the ledger, the progress and the report. */
export interface TenantResult {
  tenant: TenantRef;
  outcome: Outcome;
  /** Last applied migration before and after. */
  from: string | null;
  to: string | null;
  applied: AppliedMigration[];
  /** Pending ones that were not run: looked at only, refused, failed, held by `--to`. */
  pending: string[];
  durationMs: number;
  attempts: number;
  /** Things worth knowing that are no errors: what `--force` went past, a folder behind core. */
  notices: string[];
  error?: ErrorReport;
  /** Why it was skipped. */
  reason?: string;
}

/** Tenants that failed the same way: same code, same migration, same message but for names and numbers. */
export interface FailureGroup {
  error: ErrorReport;
  /** How many. */
  count: number;
  /** The first ones' names, five at most in text output. */
  tenants: TenantRef[];
  /** Where all of them stand now: the migration applied last, null for none; absent when they differ. */
  at?: string | null;
}

export interface RunCounts {
  total: number;
  migrated: number;
  reverted: number;
  current: number;
  pending: number;
  refused: number;
  failed: number;
  busy: number;
  skipped: number;
  executed: number;
  /** Only of `verify`; absent when there are none. */
  drifted?: number;
  /** Only of `rehearse`; absent when there are none. */
  rehearsed?: number;
}

/** A part of a run that was to end well before the next one began. */
export interface WaveReport {
  name: string;
  /** `failed`: too many of it failed for the next one to begin. `skipped`: it was not begun. */
  outcome: 'done' | 'failed' | 'interrupted' | 'skipped';
  counts: RunCounts;
  durationMs: number;
}

/** Another tool that has gone on migrating since its history was taken over: there are two masters (histories 11). */
export interface GrownTool {
  tool: string;
  /** How many migrations it has applied since, at all of these tenants; 0 where its table only changed. */
  applied: number;
  /** The first time at which one of these histories was taken over: ISO 8601, UTC. */
  since: string;
  count: number;
  /** The first five. */
  tenants: TenantRef[];
  /** The command that takes it in. */
  remedy: string;
}

/** The report of one run: what `--json` prints and the library returns. */
export interface RunReport {
  /** The run's number in the ledger; null when nothing was recorded (a reading verb, or no ledger). */
  run: number | null;
  verb: string;
  /** The selection as the user gave it, in words: `--all`, `--tenant 42`. */
  selection: string;
  toolVersion: string;
  startedAt: string;
  durationMs: number;
  interrupted: boolean;
  counts: RunCounts;
  failures: FailureGroup[];
  /** Why tenants were skipped, with how many. */
  skipped: { reason: string; count: number }[];
  /** In their order; absent when all went in one. */
  waves?: WaveReport[];
  notices: string[];
  /** How many are behind core: a folder of their own lacks core migrations, and the configuration does not say that it is meant to. */
  foldersBehind: number;
  /** The first five of them; absent when there are none. */
  behindCore?: TenantRef[];
  /** Every tenant's result, only for selections by name (`--tenant`): a fleet's go to the ledger and `--events`. */
  tenants?: TenantResult[];
  /** Other tools that have gone on since their histories were taken over; absent when none has. */
  grown?: readonly GrownTool[];
  /** What is wrong with the selection: it names a label that nobody has, or only tenants that are on hold. */
  unmet?: string;
  /** Set when the run itself could not do all its work, for instance when the ledger could not be written. */
  error?: ErrorReport;
}

/** Numbers as numbers, whatever their length. */
export function compareIds(a: string, b: string): number {
  return a.localeCompare(b, 'en', { numeric: true });
}
