import type { RunCounts, RunReport } from '../../fleet/report/report.ts';
import { count, duration, inWords, joinParts, plural } from '../format.ts';
import type { Theme } from '../theme.ts';
import { unmetLine } from '../views/tenant.ts';

const FINE = ['executed', 'rehearsed', 'migrated', 'reverted', 'pending', 'current'] as const;
const WRONG = ['failed', 'refused', 'busy', 'drifted'] as const;

/** `✔ 994 migrated   4 current   ✖ 2 failed   1,000 tenants in 17.3s   run 184` */
export function summaryLine(report: RunReport, theme: Theme): string {
  const { counts, run, durationMs, foldersBehind } = report;
  const { tick, cross, warning } = theme.symbols;
  if (report.unmet !== undefined) return `${theme.bad(cross)} ${unmetLine(report.unmet, report.selection)}`;
  if (counts.total === 0 && !report.interrupted && !report.error) {
    return `${theme.good(tick)} No tenant matches ${report.selection}: nothing to do.`;
  }
  const fine = numbers(report, FINE);
  const wrong = numbers(report, WRONG);
  const parts = [
    ...mark(fine, theme.good(tick), (text) => text),
    ...mark(wrong, theme.bad(cross), theme.bad),
    ...(foldersBehind > 0 ? [`${theme.warn(warning)} ${count(foldersBehind)} behind core`] : []),
    ...(counts.skipped ? [`${count(counts.skipped)} skipped`] : []),
    `${plural(counts.total, 'tenant')} in ${duration(durationMs)}`,
    ...(run === null ? [] : [`run ${run}`]),
  ];
  return joinParts(parts, theme.width);
}

function numbers({ counts, verb }: RunReport, outcomes: readonly (keyof RunCounts)[]): string[] {
  // With --keep nothing is taken back.
  const word = (outcome: string) =>
    outcome === 'reverted' && verb.startsWith('plugin uninstall') ? 'uninstalled' : outcome;
  return outcomes
    .filter((outcome) => (counts[outcome] ?? 0) > 0)
    .map((outcome) => `${count(counts[outcome] ?? 0)} ${word(outcome)}`);
}

function mark([first, ...rest]: string[], symbol: string, paint: (text: string) => string): string[] {
  return first === undefined ? [] : [`${symbol} ${paint(first)}`, ...rest.map((text) => paint(text))];
}

const HALF_DONE = /\bstopped (?:at statement|half-way)/;

/** `down`, `resolve` and the like are repeated by hand: they have no `--failed`. */
export function hasFailed(verb: string): boolean {
  return /^(?:up|exec|plugin (?:un)?install)\b/.test(verb);
}

/** The last line: what to type now, when something is left to do. */
export function nextStep(report: RunReport, theme: Theme): string[] {
  const { counts, run, verb, selection, interrupted } = report;
  // By its number: by the time that it is typed, another run may be the last. Statements are not in the report.
  const which = `--failed=${run}${verb === 'exec' ? ' …' : ''}`;
  const again = theme.command(`mpm-migrate ${verb} ${run === null ? selection : which}`);
  const failed = counts.failed + counts.busy;
  if (verb === 'exec' && run === null) return interrupted ? ['Interrupted: not all tenants were asked.'] : [];
  if (run !== null && !hasFailed(verb)) {
    if (!failed && !interrupted) return [];
    return [`Remaining tenants:   ${theme.command(`mpm-migrate run show ${run} --failed`)}`];
  }
  if (interrupted) return [`Interrupted: finished work is recorded. Continue:  ${again}`];
  // One that was left half-done has its remedy above: a plain second try is refused.
  if (report.failures.some(({ error }) => HALF_DONE.test(error.aftermath ?? ''))) return [];
  if (failed === 1) return [`Retry:  ${again}`];
  return failed > 1 ? [`Retry the ${inWords(failed)}:  ${again}`] : [];
}
