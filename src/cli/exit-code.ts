import { EXIT } from '../errors.ts';
import type { MendReport } from '../fleet/mend-report.ts';
import type { PlanReport } from '../fleet/plan-report.ts';
import type { RunReport } from '../fleet/report.ts';
import type { StatusReport } from '../fleet/status-report.ts';
import type { SyncReport } from '../fleet/verbs/sync.ts';

/** The exit code that a finished run ends with: the worst of what happened. */
export function exitCodeOf(report: Pick<RunReport, 'interrupted' | 'error' | 'counts'>): number {
  const { failed, refused, busy } = report.counts;
  if (report.interrupted) return EXIT.interrupted;
  if (report.error) return EXIT.failed;
  if (failed + refused > 0) return EXIT.tenantsFailed;
  return busy > 0 ? EXIT.busy : EXIT.done;
}

/** The exit code of `status`; `exitCode`: whether anything found counts (`--exit-code`). */
export function statusExitCode(report: StatusReport, { exitCode }: { exitCode: boolean }): number {
  const { pending, drifted, unreachable } = report.counts;
  if (report.interrupted) return EXIT.interrupted;
  if (report.error) return EXIT.failed;
  if (unreachable > 0) return EXIT.tenantsFailed;
  return exitCode && pending + drifted + report.foldersBehind > 0 ? EXIT.found : EXIT.done;
}

/** The exit code of `sync`; `check`: whether anything out of date counts (`--check`). */
export function syncExitCode(report: SyncReport, { check }: { check: boolean }): number {
  if (report.interrupted) return EXIT.interrupted;
  if (check) return report.changes.length + report.held.length > 0 ? EXIT.found : EXIT.done;
  return report.held.length > 0 ? EXIT.tenantsFailed : EXIT.done;
}

/** The exit code of `plan`; `exitCode`: whether anything found counts (`--exit-code`). */
export function planExitCode(report: PlanReport, { exitCode }: { exitCode: boolean }): number {
  const { pending, refused, unreachable } = report.counts;
  if (report.interrupted) return EXIT.interrupted;
  if (report.error) return EXIT.failed;
  if (unreachable > 0) return EXIT.tenantsFailed;
  return exitCode && pending + refused > 0 ? EXIT.found : EXIT.done;
}

/** The exit code of what changes histories: `repair`, `baseline`, `resolve`. */
export function mendExitCode(report: MendReport): number {
  const { failed, busy } = report.counts;
  if (report.interrupted) return EXIT.interrupted;
  if (report.error) return EXIT.failed;
  if (failed > 0) return EXIT.tenantsFailed;
  return busy > 0 ? EXIT.busy : EXIT.done;
}
