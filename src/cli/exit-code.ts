import { EXIT, worstExit } from '../errors.ts';
import type { AdoptReport } from '../fleet/report/adopt-report.ts';
import type { CheckReport } from '../fleet/report/check-report.ts';
import type { EditReport } from '../fleet/report/edit-report.ts';
import type { GateReport } from '../fleet/report/gate-report.ts';
import type { LintReport } from '../fleet/report/lint-report.ts';
import type { PlanReport } from '../fleet/report/plan-report.ts';
import type { RunReport } from '../fleet/report/report.ts';
import type { SnapshotReport } from '../fleet/report/snapshot-report.ts';
import type { StatusReport } from '../fleet/report/status-report.ts';
import type { SyncReport } from '../fleet/verbs/sync.ts';

type Ended = Pick<RunReport, 'interrupted' | 'error' | 'counts' | 'unmet'> & { foldersBehind?: number };

/** The exit code that a finished run ends with; of those that have been migrated, also for who is behind core. */
export function exitCodeOf({ interrupted, error, counts, foldersBehind = 0, unmet }: Ended): number {
  return worstExit({
    [EXIT.interrupted]: interrupted,
    [EXIT.failed]: error !== undefined,
    [EXIT.tenantsFailed]: counts.failed + counts.refused > 0,
    [EXIT.busy]: counts.busy > 0,
    [EXIT.found]: foldersBehind > 0 || unmet !== undefined || (counts.drifted ?? 0) > 0,
  });
}

/** The exit code of `status`; `exitCode`: whether anything found counts (`--exit-code`). */
export function statusExitCode(report: StatusReport, { exitCode }: { exitCode: boolean }): number {
  const { pending, drifted, unreachable } = report.counts;
  return worstExit({
    [EXIT.interrupted]: report.interrupted,
    [EXIT.failed]: report.error !== undefined,
    [EXIT.tenantsFailed]: unreachable > 0,
    [EXIT.found]: report.unmet !== undefined || (exitCode && pending + drifted + report.foldersBehind > 0),
  });
}

/** The exit code of `sync`; `check`: whether anything out of date counts (`--check`). */
export function syncExitCode(report: SyncReport, { check }: { check: boolean }): number {
  const held = report.held.length > 0;
  const outOfDate = report.changes.length + report.stale + (report.orphans?.length ?? 0) > 0;
  return worstExit({
    [EXIT.interrupted]: report.interrupted,
    [EXIT.tenantsFailed]: !check && held,
    [EXIT.found]: report.unmet !== undefined || (check && (held || outOfDate)),
  });
}

/** The exit code of `gate`. */
export function gateExitCode({ interrupted, error, counts, open }: GateReport): number {
  return worstExit({
    [EXIT.interrupted]: interrupted,
    [EXIT.failed]: error !== undefined,
    [EXIT.tenantsFailed]: counts.unreachable > 0,
    [EXIT.found]: !open,
  });
}

/** The exit code of `lint`: warnings are told, and change nothing. */
export function lintExitCode({ counts }: LintReport): number {
  return counts.errors > 0 ? EXIT.found : EXIT.done;
}

/** The exit code of `check`. */
export function checkExitCode({ lint, problems, unreachable }: CheckReport): number {
  return worstExit({
    [EXIT.tenantsFailed]: unreachable.length > 0,
    [EXIT.found]: problems.length + lint.counts.errors > 0,
  });
}

/** The exit code of `plan`; `exitCode`: whether anything found counts (`--exit-code`). */
export function planExitCode(report: PlanReport, { exitCode }: { exitCode: boolean }): number {
  const { pending, refused, unreachable } = report.counts;
  return worstExit({
    [EXIT.interrupted]: report.interrupted,
    [EXIT.failed]: report.error !== undefined,
    [EXIT.tenantsFailed]: unreachable > 0,
    [EXIT.found]: report.unmet !== undefined || (exitCode && pending + refused + report.foldersBehind > 0),
  });
}

/** The exit code of what changes histories: `repair`, `baseline`, `resolve`. */
export function editExitCode({ counts, interrupted, error, unmet }: EditReport): number {
  return worstExit({
    [EXIT.interrupted]: interrupted,
    [EXIT.failed]: error !== undefined,
    [EXIT.tenantsFailed]: counts.failed > 0,
    [EXIT.busy]: counts.busy > 0,
    [EXIT.found]: unmet !== undefined,
  });
}

/** The exit code of `baseline --snapshot`; that tenants differ is no failure. */
export function snapshotExitCode({ counts, interrupted, error }: SnapshotReport): number {
  return worstExit({
    [EXIT.interrupted]: interrupted,
    [EXIT.failed]: error !== undefined,
    [EXIT.tenantsFailed]: counts.failed > 0,
  });
}

/** The exit code of `tenant adopt` with many databases; one that is left out is no failure. */
export function adoptExitCode({ counts, interrupted, error }: AdoptReport): number {
  return worstExit({
    [EXIT.interrupted]: interrupted,
    [EXIT.failed]: error !== undefined,
    [EXIT.tenantsFailed]: counts.failed > 0,
  });
}
