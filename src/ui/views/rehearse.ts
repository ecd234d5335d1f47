import type { RehearsedMigration, RehearseReport } from '../../fleet/report/rehearse-report.ts';
import { durationText } from '../../pace.ts';
import { sizeText } from '../../size.ts';
import { count, duration, joinParts, nameList, oneLine, plural, wrapLines } from '../format.ts';
import { groupLines } from '../report/text.ts';
import type { Theme } from '../theme.ts';
import { errorView, type ErrorViewOptions } from './error.ts';
import { tenantName, unmetLine } from './tenant.ts';

const MOST_GROUPS = 20;
const MOST_MIGRATIONS = 30;

/** Who would fail, what was locked and rewritten, what was not rehearsed; how long `up` would take last. */
export function rehearseText(report: RehearseReport, theme: Theme, options: ErrorViewOptions = {}): string {
  const { failures, migrations, error } = report;
  const shown = migrations.slice(0, MOST_MIGRATIONS);
  const more = migrations.length - shown.length;
  const moreFailures = failures.slice(MOST_GROUPS).reduce((sum, group) => sum + group.count, 0);
  const blocks = [
    ...failures.slice(0, MOST_GROUPS).map((group) => groupLines(group, theme, options)),
    moreFailures
      ? [`${theme.bad(theme.symbols.cross)} ${plural(moreFailures, 'tenant')} in other ways: use --json`]
      : [],
    [
      ...shown.flatMap((each) => migrationLines(each, theme)),
      ...(more > 0
        ? [theme.dim(`${theme.symbols.ellipsis} ${count(more)} more migrations: use --json to list them`)]
        : []),
    ],
    noticeLines(report, theme),
    error ? [errorView(error, theme, options).trimEnd()] : [],
    [totalLine(report, theme), ...forecastLines(report, theme)],
  ];
  const text = blocks.filter((block) => block.length > 0).map((block) => block.join('\n'));
  return `${text.join('\n\n')}\n`;
}

function migrationLines(
  { name, count: tenants, durationMs, longest, locks, rewritten }: RehearsedMigration,
  theme: Theme,
): string[] {
  const time =
    tenants === 1
      ? `in ${durationText(durationMs)}`
      : `in ${durationText(durationMs / tenants)} on average, ${durationText(longest.durationMs)} at most (${tenantName(longest.tenant)})`;
  const title = `${theme.good(theme.symbols.tick)} ${theme.strong(oneLine(name))}: ${plural(tenants, 'tenant')} ${time}`;
  const some = (number: number) => (number < tenants ? ` (${plural(number, 'tenant')})` : '');
  const body = locks.map(({ table, mode, count: number }) => {
    const anew = rewritten.find((each) => each.table === table);
    const { bytes = 0, tenant } = anew?.largest ?? {};
    const where =
      tenant && tenants > 1 ? `${sizeText(bytes)} at most, ${tenantName(tenant)}` : sizeText(bytes);
    return `${mode} on ${oneLine(table)}${some(number)}${anew ? `, rewritten: ${where}` : ''}`;
  });
  return [title, ...body.map((line) => `    ${line}`)];
}

function noticeLines(report: RehearseReport, theme: Theme): string[] {
  const warning = theme.warn(theme.symbols.warning);
  const unrehearsed = report.unrehearsed.slice(0, MOST_GROUPS).flatMap((group) => {
    const { migration, reason, tenants } = group;
    const names = nameList(tenants.map(tenantName), group.count);
    const line = `${oneLine(migration)} and what follows: ${oneLine(reason)} (${names})`;
    return wrapLines([`${warning} not rehearsed: ${line}`], theme.width);
  });
  // Those of which nothing was rehearsed are named above already.
  const others = report.skipped.filter(({ reason }) => !reason.startsWith('not rehearsed: '));
  return [
    ...unrehearsed,
    ...others.map(
      (each) => `${theme.dim(theme.symbols.skipped)} ${count(each.count)} skipped: ${oneLine(each.reason)}`,
    ),
    ...report.notices.map((notice) => `${warning} ${oneLine(notice)}`),
  ];
}

function totalLine(report: RehearseReport, theme: Theme): string {
  const { counts, selection, durationMs, interrupted, unmet, error } = report;
  const { tick, cross } = theme.symbols;
  if (unmet !== undefined) return `${theme.bad(cross)} ${unmetLine(unmet, selection)}`;
  if (counts.total === 0 && !interrupted && !error)
    return `${theme.good(tick)} No tenant matches ${selection}.`;
  const failed = counts.failed + counts.refused;
  return joinParts(
    [
      ...(counts.rehearsed ? [`${theme.good(tick)} ${count(counts.rehearsed)} would pass`] : []),
      ...(failed ? [`${theme.bad(cross)} ${count(failed)} would fail`] : []),
      ...(counts.busy ? [`${count(counts.busy)} busy`] : []),
      ...(counts.current ? [`${count(counts.current)} current`] : []),
      ...(counts.skipped ? [`${count(counts.skipped)} not rehearsed`] : []),
      `${plural(counts.total, 'tenant')} in ${duration(durationMs)}, all rolled back`,
      ...(interrupted ? ['interrupted'] : []),
    ],
    theme.width,
  );
}

/** `up would take about 11m 00s at 16 at once; kivu-grid alone takes 6m 00s`. */
function forecastLines({ forecast, counts, selection }: RehearseReport, theme: Theme): string[] {
  if (!forecast || !counts.rehearsed) return [];
  const { durationMs, servers, complete } = forecast;
  const [slowest] = servers.toSorted((a, b) => b.durationMs - a.durationMs);
  if (!slowest) return [];
  const { concurrency, longest, server } = slowest;
  const most = complete ? 'about' : 'at least';
  const lanes = `${count(concurrency)} at once${servers.length > 1 ? ` on ${oneLine(server)}` : ''}`;
  // One that takes no longer than its share isn't worth a word.
  const alone =
    counts.total > 1 && longest.durationMs * 3 > durationMs
      ? `; ${tenantName(longest.tenant)} alone takes ${duration(longest.durationMs)}`
      : '';
  return [
    `up would take ${most} ${duration(durationMs)} at ${lanes}${alone}:  ${theme.command(`mpm-migrate up ${selection}`)}`,
  ];
}
