import type { ErrorReport, SourceExcerpt } from '../../errors.ts';
import type { LintReport } from './lint-report.ts';
import type { TenantRef } from './report.ts';

/**
 * What is wrong: `build`: the migrations don't make a database; `down`: a way back fails, or doesn't restore; `seed`: a
 * seed fails; `late`, `edited`, `same-version`: tenants have applied what doesn't fit.
 */
export type CheckKind = 'build' | 'down' | 'seed' | 'late' | 'edited' | 'same-version';

export interface CheckProblem {
  kind: CheckKind;
  /** The migration's or seed's name. */
  migration: string;
  file: string;
  message: string;
  /** What to type, or to do. */
  hint: string;
  /** Of `late`, `edited`, and `same-version`: how many tenants there are, and the first five. */
  tenants?: { count: number; first: TenantRef[] };
  excerpt?: SourceExcerpt;
}

/** What `check` found: what `--json` prints and the library returns. */
export interface CheckReport {
  verb: 'check';
  toolVersion: string;
  startedAt: string;
  durationMs: number;
  lint: LintReport;
  /** Migrations applied to the throw-away database, ways back tried there, seeds run, tenants compared with. */
  counts: Record<'built' | 'reverted' | 'seeds' | 'tenants', number>;
  problems: CheckProblem[];
  /** What was not checked, and why. */
  leftOut: string[];
  /** Tenants that could not be compared with, the first five, each with why. */
  unreachable: { tenant: TenantRef; error: ErrorReport }[];
}
