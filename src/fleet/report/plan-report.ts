import type { ErrorReport } from '../../errors.ts';
import type { Refusal } from '../../engine/remedy.ts';
import type { ImpactReport } from './impact-report.ts';
import type { TenantRef } from './report.ts';

/**
 * `pending`: `up` would run something. `refused`: `up` would refuse it. `current`: nothing to do. `skipped`: `up`
 * passes it by, `reason` says why. `unreachable`: it could not be read, `error` says why.
 */
export type PlanOutcome = 'pending' | 'refused' | 'current' | 'skipped' | 'unreachable';

/** Tenants with equal plans. */
export interface PlanGroup {
  outcome: PlanOutcome;
  count: number;
  /** The first five. */
  tenants: TenantRef[];
  /** Names in the order in which `up` would run them; of refused ones, what it would run once they are mended. */
  pending: string[];
  /** Why it would be refused, with the command that mends it, made out for all of the tenants. */
  refusals: Refusal[];
  error?: ErrorReport;
  reason?: string;
  /** What `--force` would go past, and the like. */
  notices: string[];
}

/** A migration that is pending somewhere. */
export interface PlannedMigration {
  name: string;
  /** Tenants' own folders may hold other files under the same name: this tells them apart. */
  checksum: string;
  source: string;
  path: string;
  /** `foreign`: another tool's, which can't be run here. */
  kind: 'sql' | 'module' | 'foreign';
  /** False: it runs statement by statement, outside a transaction. */
  transaction: boolean;
  /** The statement for which it does so, where the file doesn't say that it does. */
  outsideFor?: string;
  /** For how many tenants it is pending. */
  tenants: number;
  /** What would be sent, with `sql`; of a module its code decides. */
  sql?: string;
}

/** What `up` would do: what `--json` prints and the library returns. */
export interface PlanReport {
  verb: 'plan';
  selection: string;
  toolVersion: string;
  startedAt: string;
  durationMs: number;
  interrupted: boolean;
  /** How the files of the core folder lie: `NAME/migration.sql, NAME.sql`. Empty without migrations. */
  layout: string;
  counts: Record<'total' | PlanOutcome, number>;
  groups: PlanGroup[];
  /** In the order of names. */
  migrations: PlannedMigration[];
  /** What they do to tables, with `impact`. */
  impact?: ImpactReport;
  /** How many are behind core: a folder of their own lacks core migrations, and the configuration does not say that it is meant to. */
  foldersBehind: number;
  /** The first five of them; absent when there are none. */
  behindCore?: TenantRef[];
  /** What is wrong with the selection: it names a label that nobody has, or only tenants that are on hold. */
  unmet?: string;
  notices: string[];
  /** Set when not all could be looked at. */
  error?: ErrorReport;
}
