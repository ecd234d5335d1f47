import type { ErrorReport } from '../../errors.ts';
import type { FailureGroup, RunReport, TenantResult, WaveReport } from '../../fleet/report/report.ts';
import { idWord } from '../../shell-word.ts';
import { count, duration, nameList, oneLine, padEnd, plural, widthOf, wrapLines } from '../format.ts';
import type { Theme } from '../theme.ts';
import {
  aftermathLines,
  errorDetails,
  errorView,
  type ErrorViewOptions,
  hintLines,
  messageLines,
} from '../views/error.ts';
import { behindCoreLines, tenantName } from '../views/tenant.ts';
import { nextStep, summaryLine } from './summary.ts';

/** So many groups of failures are shown in full; a fleet that fails in more ways is read with `run show`. */
const MOST_GROUPS = 10;

/** The report of a run as text: what failed first, the most important line last. */
export function reportText(report: RunReport, theme: Theme, options: ErrorViewOptions = {}): string {
  const groups = report.failures.slice(0, MOST_GROUPS);
  const blocks = [
    resultLines(report.tenants ?? [], theme).join('\n'),
    ...groups.map((group) => groupLines(group, theme, options).join('\n')),
    moreGroups(report, theme),
    waveLines(report.waves ?? [], theme).join('\n'),
    noticeLines(report, theme).join('\n'),
    report.error ? errorView(report.error, theme, options).trimEnd() : '',
    [summaryLine(report, theme), ...nextStep(report, theme)].join('\n'),
  ];
  return `${blocks.filter(Boolean).join('\n\n')}\n`;
}

/** What was done to tenants that were named; those that failed have a block of their own. */
function resultLines(results: readonly TenantResult[], theme: Theme): string[] {
  const done = results.filter(({ outcome, applied }) => applied.length > 0 && outcome !== 'failed');
  const widest = Math.min(24, Math.max(0, ...done.map(({ tenant }) => widthOf(tenantName(tenant)))));
  return done.flatMap(({ tenant, from, to, applied, durationMs }) => {
    const { tick, arrow } = theme.symbols;
    const way = `${oneLine(from ?? '(none)')} ${arrow} ${oneLine(to ?? '(none)')}`;
    const head = `${theme.good(tick)} ${padEnd(tenantName(tenant), widest)}  ${way}`;
    const time = `${applied.length} in ${duration(durationMs)}`;
    const width = widthOf(`x ${padEnd(tenantName(tenant), widest)}  ${way}  ${time}`);
    const line = width > theme.width ? `${head}\n    ${time}` : `${head}  ${time}`;
    const steps = done.length > 1 ? [] : applied.map((step) => stepLine(step, theme));
    return [line, ...steps];
  });
}

function stepLine({ name, direction, durationMs }: TenantResult['applied'][number], theme: Theme): string {
  const sign = direction === 'down' ? '-' : '+';
  return theme.dim(`    ${sign} ${oneLine(name)}  ${duration(durationMs)}`);
}

/** One way to fail: who, what, where, what became of it, what to type. */
export function groupLines(group: FailureGroup, theme: Theme, options: ErrorViewOptions = {}): string[] {
  const { error, tenants } = group;
  const [first] = tenants;
  const title = `${theme.bad(theme.symbols.cross)} ${theme.strong(titleOf(group))}`;
  const names = group.count > 1 ? [nameList(tenants.map(tenantName), group.count)] : [];
  const prose = (lines: readonly string[]) => wrapLines(lines, theme.width - 4);
  const body = [
    ...prose([...names, ...messageLines(error)]),
    ...errorDetails(error, theme, options),
    ...prose(aftermathLines(error.aftermath, group.at)),
    ...hintLines(hintOf(error, first && idWord(first.id)), theme),
  ];
  return [
    error.migration ? `${title}    ${oneLine(error.migration)}` : title,
    ...body.map((line) => `    ${line}`),
  ];
}

function titleOf({ error, count: total, tenants }: FailureGroup): string {
  const [first] = tenants;
  if (total === 1 && first) return tenantName(first);
  if (isRefusal(error)) return `${plural(total, 'tenant')} were refused for the same reason`;
  if (error.code === 'BUSY') return `${plural(total, 'tenant')} are busy`;
  return `${plural(total, 'tenant')} failed the same way`;
}

const REFUSALS: ReadonlySet<string> = new Set([
  'PLAN_REFUSED',
  'NOT_EMPTY',
  'HISTORY_LOST',
  'HISTORY_NEWER',
  'HISTORY_UNTRUSTED',
  'TENANT_STATUS',
]);

function isRefusal(error: ErrorReport): boolean {
  return REFUSALS.has(error.code);
}

/** Every error says what to type next; where its origin had nothing to say, that is a look at the tenant. */
function hintOf({ hint }: ErrorReport, tenant = 'NAME'): string {
  return (hint ?? 'mpm-migrate status --tenant {tenant}').replaceAll('{tenant}', tenant);
}

function moreGroups({ failures, run }: RunReport, theme: Theme): string {
  const rest = failures.slice(MOST_GROUPS);
  if (rest.length === 0) return '';
  const tenants = rest.reduce((sum, group) => sum + group.count, 0);
  const where = run === null ? '' : `:  ${theme.command(`mpm-migrate run show ${run} --failed`)}`;
  const ways = plural(rest.length, 'other way');
  return `${theme.bad(theme.symbols.cross)} ${plural(tenants, 'tenant')} failed in ${ways}${where}`;
}

/** What became of each wave. */
function waveLines(waves: readonly WaveReport[], theme: Theme): string[] {
  const widest = Math.max(0, ...waves.map(({ name }) => widthOf(oneLine(name))));
  const { tick, cross, skipped: dash } = theme.symbols;
  return waves.map(({ name, outcome, counts, durationMs }) => {
    const symbol = {
      done: theme.good(tick),
      failed: theme.bad(cross),
      interrupted: theme.warn(dash),
      skipped: theme.dim(dash),
    };
    const done = (Object.keys(counts) as (keyof typeof counts)[]).filter(
      (key) => key !== 'total' && counts[key],
    );
    const numbers = done.map((key) => `${count(counts[key] ?? 0)} ${key}`).join('   ');
    const time = outcome === 'skipped' ? '' : ` in ${duration(durationMs)}`;
    return `${symbol[outcome]} wave ${padEnd(oneLine(name), widest)}  ${numbers}${time}`;
  });
}

function noticeLines(report: RunReport, theme: Theme): string[] {
  const { warning, skipped: dash } = theme.symbols;
  return [
    ...report.skipped.map(
      (entry) => `${theme.dim(dash)} ${count(entry.count)} skipped: ${oneLine(entry.reason)}`,
    ),
    ...report.notices.map((notice) => `${theme.warn(warning)} ${oneLine(notice)}`),
    ...behindCoreLines(report, theme),
  ];
}
