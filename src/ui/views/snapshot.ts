import { sizeText } from '../../size.ts';
import type { SnapshotDifference, SnapshotReport } from '../../fleet/report/snapshot-report.ts';
import { shellWord } from '../../shell-word.ts';
import { count, duration, joinParts, nameList, oneLine, plural } from '../format.ts';
import { groupLines } from '../report/text.ts';
import type { Theme } from '../theme.ts';
import { errorView, type ErrorViewOptions } from './error.ts';
import { tenantName } from './tenant.ts';

const MOST_GROUPS = 10;
const MOST_LINES = 10;

/** The snapshot that was written, or would be, and who is not as it is. */
export function snapshotText(
  report: SnapshotReport,
  theme: Theme,
  { words, ...options }: ErrorViewOptions & { shortPath(path: string): string; words: readonly string[] },
): string {
  const { differences, others, failures, notices, error, write } = report;
  const warning = theme.warn(theme.symbols.warning);
  const rest = others + differences.slice(MOST_GROUPS).reduce((sum, group) => sum + group.count, 0);
  const again = `mpm-migrate ${words.map((word, at) => (at ? shellWord(word) : word)).join(' ')} --write`;
  const blocks = [
    ...differences.slice(0, MOST_GROUPS).map((group) => differenceLines(group, theme)),
    rest > 0 ? [`${warning} ${plural(rest, 'tenant')} with other differences: use --json to list them`] : [],
    ...failures.slice(0, MOST_GROUPS).map((group) => groupLines(group, theme, options)),
    notices.map((notice) => `${warning} ${oneLine(notice)}`),
    error ? [errorView(error, theme, options).trimEnd()] : [],
    [
      fileLine(report, theme, options.shortPath),
      totalLine(report, theme),
      ...(write || error ? [] : [`Nothing was written. To write:   ${theme.command(again)}`]),
    ],
  ];
  const text = blocks.filter((block) => block.length > 0).map((block) => block.join('\n'));
  return `${text.join('\n\n')}\n`;
}

function differenceLines(group: SnapshotDifference, theme: Theme): string[] {
  const { of, count: total, tenants, differences } = group;
  const names = nameList(tenants.map(tenantName), total);
  const what = of === 'history' ? 'other migrations in the history' : 'the same history, and another schema';
  const more = differences.length - MOST_LINES;
  return [
    `${theme.warn(theme.symbols.lane)} ${theme.strong(names)}: ${what}`,
    ...differences.slice(0, MOST_LINES).map((line) => `    ${oneLine(line)}`),
    ...(more > 0 ? [theme.dim(`    ${theme.symbols.ellipsis} more: use --json to list them`)] : []),
  ];
}

function fileLine(report: SnapshotReport, theme: Theme, shortPath: (path: string) => string): string {
  const { path, bytes, tenant, first, last, replaces, write } = report;
  const { tick, lane } = theme.symbols;
  const sign = write ? theme.good(tick) : theme.warn(lane);
  const what = `${plural(replaces, 'migration')}, ${oneLine(first)} to ${oneLine(last)}`;
  return `${sign} ${theme.strong(shortPath(path))}  ${sizeText(bytes)}: the schema of ${tenantName(tenant)}, for ${what}`;
}

function totalLine({ counts, durationMs, interrupted }: SnapshotReport, theme: Theme): string {
  const { tick, cross, lane } = theme.symbols;
  return joinParts(
    [
      `${theme.good(tick)} ${count(counts.equal)} equal`,
      ...(counts.beyond ? [`${theme.good(tick)} ${count(counts.beyond)} further on`] : []),
      ...(counts.different ? [`${theme.warn(lane)} ${count(counts.different)} different`] : []),
      ...(counts.failed ? [`${theme.bad(cross)} ${count(counts.failed)} failed`] : []),
      ...(counts.skipped ? [`${count(counts.skipped)} skipped`] : []),
      `${plural(counts.total, 'tenant')} in ${duration(durationMs)}`,
      ...(interrupted ? ['interrupted'] : []),
    ],
    theme.width,
  );
}
