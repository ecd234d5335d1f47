import type { GateReport } from '../../fleet/report/gate-report.ts';
import { count, duration, joinParts, oneLine, plural } from '../format.ts';
import type { Theme } from '../theme.ts';
import { errorView } from './error.ts';
import { tenantName, unmetLine } from './tenant.ts';

const MOST_NAMED = 10;

/** Who does not have the migration yet, who does not count; the answer last. */
export function gateText(report: GateReport, theme: Theme): string {
  const { stragglers, unreachable, passed, counts } = report;
  const { cross, lane, skipped } = theme.symbols;
  const blocks = [
    named(counts.behind, theme, stragglers, ({ tenant, head, lacks }) => {
      const where = head === null ? 'without migrations' : `at ${oneLine(head)}`;
      return `${theme.warn(lane)} ${theme.strong(tenantName(tenant))}  lacks ${oneLine(lacks)}, ${where}`;
    }),
    named(
      counts.unreachable,
      theme,
      unreachable,
      ({ tenant, error }) =>
        `${theme.bad(cross)} ${theme.strong(tenantName(tenant))}  ${oneLine(error.message)}`,
    ),
    named(
      counts.passed,
      theme,
      passed,
      ({ tenant, reason }) =>
        `${theme.dim(skipped)} ${theme.strong(tenantName(tenant))}  doesn't count: ${oneLine(reason)}`,
    ),
    report.error ? [errorView(report.error, theme).trimEnd()] : [],
    [totalLine(report, theme)],
  ];
  const text = blocks.filter((block) => block.length > 0).map((block) => block.join('\n'));
  return `${text.join('\n\n')}\n`;
}

function named<T>(total: number, theme: Theme, all: readonly T[], line: (each: T) => string): string[] {
  const shown = all.slice(0, MOST_NAMED);
  const more = total - shown.length;
  return [
    ...shown.map(line),
    ...(more > 0 ? [theme.dim(`  ${theme.symbols.ellipsis} ${count(more)} more`)] : []),
  ];
}

function totalLine(report: GateReport, theme: Theme): string {
  const { counts, selection, unmet, open, atLeast, durationMs, interrupted } = report;
  const { tick, cross, lane } = theme.symbols;
  if (unmet !== undefined) return `${theme.bad(cross)} ${unmetLine(unmet, selection)}`;
  if (counts.total === 0 && open) return `${theme.good(tick)} No tenant matches ${selection}.`;
  return joinParts(
    [
      open
        ? `${theme.good(tick)} all have ${oneLine(atLeast)}: ${plural(counts.there, 'tenant')}`
        : `${theme.bad(cross)} not all have ${oneLine(atLeast)}: ${count(counts.there)} of ${count(counts.total - counts.passed)}`,
      ...(counts.behind ? [`${theme.warn(lane)} ${count(counts.behind)} behind`] : []),
      ...(counts.unreachable ? [`${theme.bad(cross)} ${count(counts.unreachable)} unreachable`] : []),
      ...(counts.passed ? [`${count(counts.passed)} don't count`] : []),
      duration(durationMs),
      ...(interrupted ? ['interrupted'] : []),
    ],
    theme.width,
  );
}
