import type { ErrorReport } from '../../errors.ts';
import type { MigrationState } from '../../engine/history/state.ts';
import type { GrownTool, TenantRef } from './report.ts';

/**
 * `current`: nothing to do. `pending`: `up` would run something. `drifted`: `up` would refuse it (changed,
 * missing, out-of-order, failed, interrupted). `unreachable`: it could not be read, `error` says why.
 * `inactive`: passed by because of its status in the central database; read all the same where it can be.
 */
export type StatusState = 'current' | 'pending' | 'drifted' | 'unreachable' | 'inactive';

/** One tenant's line. */
export interface StatusRow {
  tenant: TenantRef;
  state: StatusState;
  /** Its status in the central database: active, hold, provisioning, failed, or the product's own word. */
  status: string;
  /** Why it is on hold, or at which step its creation failed. */
  reason?: string;
  /** Its plugins; absent when it has none. */
  plugins?: string[];
  /** The migration applied last; null when there is none, or it could not be read. */
  head: string | null;
  applied: number;
  /** How many `up` would run. */
  pending: number;
  /** How many core migrations its own folder lacks: `sync` brings them; absent without a folder. */
  lacksCore?: number;
  /** How many migrations are in each state that needs a look; absent when there are none. */
  drift?: Partial<Record<MigrationState, number>>;
  /** The exact commands that mend what is refused, or that end a hold or a half-made creation. */
  remedies?: string[];
  error?: ErrorReport;
}

/** Tenants at the same head, equally far behind. */
export interface StatusCohort {
  head: string | null;
  applied: number;
  pending: number;
  count: number;
  /** The first five. */
  tenants: TenantRef[];
}

export interface StatusCounts {
  total: number;
  current: number;
  pending: number;
  drifted: number;
  unreachable: number;
  inactive: number;
}

/** One migration in one tenant's history (`status --tenant 42`). */
export interface HistoryEntry {
  name: string;
  state: MigrationState;
  checksum: string | null;
  source: string | null;
  /** The plugin whose file it is; absent for others. */
  plugin?: string;
  /** ISO 8601, UTC. */
  finishedAt: string | null;
  durationMs: number | null;
  run: string | null;
  actor: string | null;
  toolVersion: string | null;
  /** Of one that was left half-done outside a transaction: how many statements are done, of how many. */
  statementsDone?: number;
  statements?: number;
  /** What it failed with. */
  error?: string;
  /** What is to be done about it, with the exact command; absent when nothing is. */
  remedy?: string;
}

/** Tenants × the migrations in which they differ. */
export interface StatusMatrix {
  /** Those that are not in the same state everywhere, in order. */
  migrations: string[];
  /** Tenants that agree in all of them, the most first. */
  groups: {
    count: number;
    /** The first five. */
    tenants: TenantRef[];
    /** One for each of `migrations`; null where neither files nor history have it. */
    states: (MigrationState | null)[];
  }[];
  /** Tenants in none of the groups, of which there would be too many. */
  others: number;
}

/** A run of `verify`, in short. */
export interface VerifiedRun {
  run: number;
  selection: string;
  /** ISO 8601, UTC; null while it is at work. */
  finishedAt: string | null;
  /** By outcome: `current` are as built, `drifted` are not. */
  counts: Record<string, number>;
}

/** What `status` found: what `--json` prints and the library returns. */
export interface StatusReport {
  selection: string;
  toolVersion: string;
  startedAt: string;
  durationMs: number;
  interrupted: boolean;
  counts: StatusCounts;
  /** The furthest first. Without the unreachable ones. */
  cohorts: StatusCohort[];
  /** Of so many it was read off their head stamps, without a connection to them. */
  stamped: number;
  /** Only with `matrix`. */
  matrix?: StatusMatrix;
  /** How many are behind core: a folder of their own lacks core migrations, and the configuration does not say that it is meant to. */
  foldersBehind: number;
  /** The first five of them; absent when there are none. */
  behindCore?: TenantRef[];
  /** Other tools that have gone on since their histories were taken over; absent when none has. */
  grown?: readonly GrownTool[];
  /** What is wrong with the selection: it names a label that nobody has, or only tenants that are on hold. */
  unmet?: string;
  /** What the last `verify` found; absent when there was none. */
  verified?: VerifiedRun;
  notices: string[];
  /** In the order of ids; absent when they were streamed (`onRow`). */
  tenants?: StatusRow[];
  /** Of the one tenant, when exactly one was selected by name: in the order of migrations. */
  history?: HistoryEntry[];
  /** Set when not all could be looked at. */
  error?: ErrorReport;
}
