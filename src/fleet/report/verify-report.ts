import type { Difference } from '../../engine/catalog/compare.ts';
import type { RunReport, TenantRef } from './report.ts';

/** Tenants that differ from what their histories say in the same way. */
export interface DriftGroup {
  count: number;
  /** The first five. */
  tenants: TenantRef[];
  /** The migration applied last. */
  head: string | null;
  differences: Difference[];
  /** What makes them as they were built, in order; what would lose data, or no statement can fix, is a comment. */
  sql: string[];
}

/** What `verify` found: what `--json` prints and the library returns. `counts.current` are as built. */
export interface VerifyReport extends RunReport {
  /** The largest first. */
  groups: DriftGroup[];
  /** Tenants in none of the groups, of which there would be too many. */
  others: number;
}
