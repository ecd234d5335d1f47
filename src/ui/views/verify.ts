import type { Difference, FactDifference } from '../../engine/catalog/compare.ts';
import type { DriftGroup, VerifyReport } from '../../fleet/report/verify-report.ts';
import { idWord } from '../../shell-word.ts';
import { count, harmless, joinParts, duration, nameList, oneLine, plural } from '../format.ts';
import type { Theme } from '../theme.ts';
import { groupLines } from '../report/text.ts';
import { errorView, type ErrorViewOptions } from './error.ts';
import { behindCoreLines, tenantName, unmetLine } from './tenant.ts';

const MOST_GROUPS = 20;
/** So many differences of a group are listed; all of them with the SQL. */
const MOST_DIFFERENCES = 10;

/** Who is as built, and who differs how; the totals last. */
export function verifyText(
  report: VerifyReport,
  theme: Theme,
  options: ErrorViewOptions & { sql?: boolean } = {},
): string {
  const failures = report.failures.filter(({ error }) => error.code !== 'DRIFT');
  const blocks = [
    ...report.groups.slice(0, MOST_GROUPS).map((group) => driftLines(group, theme, options)),
    moreLines(report, theme),
    ...failures.slice(0, MOST_GROUPS).map((group) => groupLines(group, theme, options)),
    [
      ...report.skipped.map(
        (each) => `${theme.dim(theme.symbols.skipped)} ${count(each.count)} skipped: ${oneLine(each.reason)}`,
      ),
      ...report.notices.map((notice) => `${theme.warn(theme.symbols.warning)} ${oneLine(notice)}`),
      ...behindCoreLines(report, theme),
    ],
    report.error ? [errorView(report.error, theme, options).trimEnd()] : [],
    [totalLine(report, theme), ...nextLines(report, theme, options)],
  ];
  const text = blocks.filter((block) => block.length > 0).map((block) => block.join('\n'));
  return `${text.join('\n\n')}\n`;
}

function driftLines(group: DriftGroup, theme: Theme, { sql = false }: { sql?: boolean }): string[] {
  const { differences, tenants } = group;
  const [first] = differences;
  const who = group.count === 1 ? tenantName(tenants[0] ?? NOBODY) : plural(group.count, 'tenant');
  const how = group.count === 1 ? 'differs' : 'differ the same way';
  const same = differences.length === 1 && first ? `: ${oneLine(first.message)}` : '';
  const shown = sql ? differences : differences.slice(0, MOST_DIFFERENCES);
  const more = differences.length - shown.length;
  const body = [
    ...(group.count > 1 ? [theme.dim(nameList(tenants.map(tenantName), group.count))] : []),
    ...(same && !sql ? [] : shown.flatMap((each) => differenceLines(each, theme, sql))),
    ...(more > 0 ? [theme.dim(`${theme.symbols.ellipsis} ${count(more)} more: use --sql to list them`)] : []),
    ...(sql && group.sql.length ? ['', ...group.sql.flatMap((each) => harmless(each).split('\n'))] : []),
  ];
  return [
    `${theme.bad(theme.symbols.cross)} ${theme.strong(who)} ${how}${same}`,
    ...body.map((line) => (line ? `    ${line}` : '')),
  ];
}

const NOBODY = { id: '', name: '', database: '', server: '' };

function differenceLines(difference: Difference, theme: Theme, all: boolean): string[] {
  const line = oneLine(difference.message);
  if (!all || difference.facts.length === 0) return [line];
  return [line, ...difference.facts.flatMap((fact) => factLines(fact, theme))];
}

function factLines({ name, built, found }: FactDifference, theme: Theme): string[] {
  const lines = (sign: string, fact: FactDifference['built']): string[] =>
    harmless(
      fact === null ? '(nothing)' : Array.isArray(fact) ? fact.join(', ') || '(nothing)' : String(fact),
    )
      .split('\n')
      .map((text) => `    ${sign} ${text}`);
  return [
    `  ${name}`,
    ...lines('+', built).map((line) => theme.good(line)),
    ...lines('-', found).map((line) => theme.bad(line)),
  ];
}

function moreLines({ groups, others }: VerifyReport, theme: Theme): string[] {
  const rest = groups.slice(MOST_GROUPS);
  const tenants = rest.reduce((sum, group) => sum + group.count, others);
  return tenants
    ? [`${theme.bad(theme.symbols.cross)} ${plural(tenants, 'tenant')} differ in other ways: use --json`]
    : [];
}

function totalLine(report: VerifyReport, theme: Theme): string {
  const { counts, selection, durationMs, interrupted, unmet, run } = report;
  const { tick, cross } = theme.symbols;
  if (unmet !== undefined) return `${theme.bad(cross)} ${unmetLine(unmet, selection)}`;
  if (counts.total === 0 && !interrupted && !report.error)
    return `${theme.good(tick)} No tenant matches ${selection}.`;
  const failed = counts.failed + counts.refused + counts.busy;
  return joinParts(
    [
      ...(counts.current ? [`${theme.good(tick)} ${count(counts.current)} as built`] : []),
      ...(counts.drifted
        ? [`${theme.bad(cross)} ${count(counts.drifted)} ${counts.drifted === 1 ? 'differs' : 'differ'}`]
        : []),
      ...(failed ? [`${theme.bad(cross)} ${count(failed)} not compared`] : []),
      ...(counts.skipped ? [`${count(counts.skipped)} skipped`] : []),
      `${plural(counts.total, 'tenant')} in ${duration(durationMs)}`,
      ...(run === null ? [] : [`run ${run}`]),
    ],
    theme.width,
  );
}

function nextLines({ groups }: VerifyReport, theme: Theme, { sql = false }: { sql?: boolean }): string[] {
  const [first] = groups[0]?.tenants ?? [];
  if (!first || sql) return [];
  return [`The SQL that fixes it:  ${theme.command(`mpm-migrate verify --tenant ${idWord(first.id)}`)}`];
}
