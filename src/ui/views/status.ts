import type {
  StatusCohort,
  StatusReport,
  StatusRow,
  StatusState,
  HistoryEntry,
} from '../../fleet/report/status-report.ts';
import { idWord } from '../../shell-word.ts';
import {
  count,
  duration,
  inWords,
  joinParts,
  nameList,
  oneLine,
  padStart,
  plural,
  table,
} from '../format.ts';
import type { Theme } from '../theme.ts';
import { errorView, hintLines } from './error.ts';
import { matrixLines } from './matrix.ts';
import { behindCoreLines, tenantName, unmetLine } from './tenant.ts';

/** A fleet up to this size is shown tenant by tenant. */
const SMALL_FLEET = 50;
/** So many tenants that need a look are named; the others are counted. */
const MOST_TROUBLED = 10;

/** Where the fleet stands: a line per tenant or per cohort, those that need a look, the totals, what to type. */
export function statusText(report: StatusReport, theme: Theme): string {
  const rows = report.tenants ?? [];
  const [only] = rows;
  const blocks = [
    only && report.history ? historyLines(only, report.history, theme) : fleetLines(report, rows, theme),
    report.matrix ? matrixLines(report.matrix, theme) : [],
    troubleLines(rows, theme),
    noticeLines(report, theme),
    verifiedLines(report, theme),
    report.error ? [errorView(report.error, theme).trimEnd()] : [],
    [totalLine(report, theme), ...nextLines(report, theme)],
  ];
  const text = blocks.filter((block) => block.length > 0).map((block) => block.join('\n'));
  return `${text.join('\n\n')}\n`;
}

function fleetLines(report: StatusReport, rows: readonly StatusRow[], theme: Theme): string[] {
  if (rows.length === 0 || report.counts.total > SMALL_FLEET) return cohortLines(report.cohorts, theme);
  const columns = [
    { title: 'TENANT', flexible: true },
    { title: 'STATE' },
    { title: 'HEAD', flexible: true },
    { title: 'APPLIED', align: 'right' as const },
    { title: 'PENDING', align: 'right' as const },
  ];
  const cells = rows.map((row) => [
    tenantName(row.tenant),
    row.state === 'inactive' ? oneLine(row.status) : row.state,
    oneLine(row.head ?? '(none)'),
    row.state === 'unreachable' ? '?' : count(row.applied),
    row.state === 'unreachable' ? '?' : count(row.pending),
  ]);
  const { ellipsis } = theme.symbols;
  const [heading = '', ...lines] = table(columns, cells, {
    width: theme.width - 2,
    ellipsis,
    heading: theme.dim,
  });
  return [`  ${heading}`, ...lines.map((line, at) => `${symbolOf(rows[at]?.state, theme)} ${line}`)];
}

function cohortLines(cohorts: readonly StatusCohort[], theme: Theme): string[] {
  const digits = Math.max(0, ...cohorts.map((cohort) => count(cohort.count).length));
  return cohorts.flatMap((cohort) => {
    const { head, pending, applied } = cohort;
    const symbol = symbolOf(pending > 0 ? 'pending' : 'current', theme);
    const whom = `${padStart(count(cohort.count), digits)} ${cohort.count === 1 ? 'tenant ' : 'tenants'}`;
    const where = head === null ? 'without migrations' : `at ${oneLine(head)}`;
    const behind = pending > 0 ? `${count(pending)} behind` : `${count(applied)} applied`;
    const names = nameList(cohort.tenants.map(tenantName), cohort.count);
    return [`${symbol} ${whom} ${where}   ${behind}`, ...(pending > 0 ? [theme.dim(`    ${names}`)] : [])];
  });
}

function symbolOf(state: StatusState | undefined, { symbols, good, warn, bad, dim }: Theme): string {
  if (state === 'current') return good(symbols.tick);
  if (state === 'pending') return warn(symbols.lane);
  return state === 'inactive' ? dim(symbols.skipped) : bad(symbols.cross);
}

/** Those that drifted, could not be read, or are passed by: why, and what to type. */
function troubleLines(rows: readonly StatusRow[], theme: Theme): string[] {
  const troubled = rows.filter(
    ({ state, reason }) => state === 'drifted' || state === 'unreachable' || reason,
  );
  const lines = troubled.slice(0, MOST_TROUBLED).flatMap((row) => {
    const word = idWord(row.tenant.id);
    const remedies = row.remedies ?? [row.error?.hint ?? ''];
    const hint = remedies.join('\n').replaceAll('{tenant}', word);
    const head = `${symbolOf(row.state, theme)} ${theme.strong(tenantName(row.tenant))}  ${troubleOf(row)}`;
    return [head, ...hintLines(hint, theme).map((line) => `    ${line}`)];
  });
  const more = troubled.length - MOST_TROUBLED;
  return more > 0 ? [...lines, theme.dim(`  ${theme.symbols.ellipsis} ${count(more)} more`)] : lines;
}

function troubleOf({ state, status, reason, drift, error }: StatusRow): string {
  if (state === 'unreachable') return oneLine(error?.message ?? 'cannot be read');
  const drifted = Object.entries(drift ?? {}).map(([kind, number]) => `${count(number)} ${kind}`);
  const held = reason ? `${status}: ${oneLine(reason)}` : '';
  return [drifted.join(', '), held].filter(Boolean).join('; ') || state;
}

function noticeLines(report: StatusReport, theme: Theme): string[] {
  const warning = theme.warn(theme.symbols.warning);
  return [
    ...report.notices.map((notice) => `${warning} ${oneLine(notice)}`),
    ...behindCoreLines(report, theme),
  ];
}

/** What the last `verify` said, and since when. */
function verifiedLines({ verified }: StatusReport, theme: Theme): string[] {
  if (!verified?.finishedAt) return [];
  const { run, selection, finishedAt, counts } = verified;
  const drifted = counts['drifted'] ?? 0;
  const when = `${finishedAt.slice(0, 16).replace('T', ' ')} UTC (run ${run}, ${oneLine(selection)})`;
  const found = `${count(counts['current'] ?? 0)} as built${drifted ? `, ${count(drifted)} differ` : ''}`;
  return [theme.dim(`Schemas verified ${when}: ${found}`)];
}

function totalLine(report: StatusReport, theme: Theme): string {
  const { counts, selection, durationMs, interrupted, unmet } = report;
  const { tick, lane, cross } = theme.symbols;
  if (unmet !== undefined) return `${theme.bad(cross)} ${unmetLine(unmet, selection)}`;
  if (counts.total === 0) return `${theme.good(tick)} No tenant matches ${selection}.`;
  const parts = [
    ...(counts.current ? [`${theme.good(tick)} ${count(counts.current)} current`] : []),
    ...(counts.pending ? [`${theme.warn(lane)} ${count(counts.pending)} pending`] : []),
    ...(counts.drifted ? [`${theme.bad(cross)} ${count(counts.drifted)} drifted`] : []),
    ...(counts.unreachable ? [`${theme.bad(cross)} ${count(counts.unreachable)} unreachable`] : []),
    ...(counts.inactive ? [`${count(counts.inactive)} inactive`] : []),
    `${plural(counts.total, 'tenant')} in ${duration(durationMs)}`,
    ...(interrupted ? ['interrupted'] : []),
  ];
  return joinParts(parts, theme.width);
}

function nextLines({ counts, selection, tenants }: StatusReport, theme: Theme): string[] {
  if (counts.pending === 0) return [];
  const [only] = tenants ?? [];
  const one = counts.total === 1 && only;
  const which = one
    ? `--tenant ${idWord(only.tenant.id)}`
    : selection.includes('--all')
      ? '--behind'
      : selection;
  const whom = counts.pending === 1 ? 'it' : counts.pending <= 10 ? `the ${inWords(counts.pending)}` : 'them';
  return [`Migrate ${whom}:   ${theme.command(`mpm-migrate up ${which}`)}`];
}

/** One tenant's history, a line per migration in their order. */
function historyLines(row: StatusRow, history: readonly HistoryEntry[], theme: Theme): string[] {
  const { id, database, server } = row.tenant;
  const title = `${theme.strong(tenantName(row.tenant))}  id ${id}, database ${oneLine(database)} on ${oneLine(server)}`;
  const own = row.plugins ? [`  plugins: ${oneLine(row.plugins.join(', '))}`] : [];
  if (history.length === 0) return [title, ...own, theme.dim('  no migrations')];
  const columns = [
    { title: 'MIGRATION', flexible: true, least: 24 },
    ...(row.plugins ? [{ title: 'PLUGIN' }] : []),
    { title: 'STATE' },
    { title: 'APPLIED AT (UTC)' },
    { title: 'TOOK', align: 'right' as const, spare: 1 },
    { title: 'RUN', align: 'right' as const, spare: 2 },
    { title: 'BY', flexible: true, spare: 3 },
  ];
  const cells = history.map((entry) => [
    oneLine(entry.name),
    ...(row.plugins ? [oneLine(entry.plugin ?? '')] : []),
    entry.state,
    entry.finishedAt?.replace('T', ' ').slice(0, 19) ?? '',
    entry.durationMs === null ? '' : duration(entry.durationMs),
    entry.run ?? '',
    oneLine(entry.actor ?? ''),
  ]);
  const { ellipsis } = theme.symbols;
  const [heading = '', ...lines] = table(columns, cells, {
    width: theme.width - 2,
    ellipsis,
    heading: theme.dim,
  });
  return [
    title,
    ...own,
    `  ${heading}`,
    ...lines.flatMap((line, at) => [`${entrySymbol(history[at], theme)} ${line}`, ...stopLines(history[at])]),
  ];
}

/** How far a half-done one has come, and what stopped it. */
function stopLines(entry: HistoryEntry | undefined): string[] {
  const { statementsDone, statements, error } = entry ?? {};
  if (statementsDone === undefined || statements === undefined) return error ? [`    ${oneLine(error)}`] : [];
  const at = Math.min(statementsDone + 1, statements);
  const why = error ? `: ${oneLine(error)}` : '';
  return [`    stopped at statement ${at} of ${statements}${why}`];
}

function entrySymbol(entry: HistoryEntry | undefined, { symbols, good, warn, bad }: Theme): string {
  switch (entry?.state) {
    case 'applied':
    case 'baseline':
    case 'kept':
      return good(symbols.tick);
    case 'pending':
    case 'deferred':
    case 'future':
      return warn(symbols.lane);
    default:
      return bad(symbols.cross);
  }
}
