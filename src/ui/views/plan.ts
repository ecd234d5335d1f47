import type { PlanGroup, PlanOutcome, PlannedMigration, PlanReport } from '../../fleet/report/plan-report.ts';
import { idWord } from '../../shell-word.ts';
import { count, duration, harmless, joinParts, nameList, oneLine, plural, wrapLines } from '../format.ts';
import type { Theme } from '../theme.ts';
import { errorDetails, errorView, type ErrorViewOptions, hintLines, messageLines } from './error.ts';
import { impactBlocks } from './impact.ts';
import { behindCoreLines, tenantName, unmetLine } from './tenant.ts';

/** So many names of pending migrations are listed per group; all of them are in `--json`. */
const MOST_NAMES = 20;
const MOST_GROUPS = 20;

/** What `up` would do: tenants with equal plans together, then what would be sent, the totals last. */
export function planText(
  report: PlanReport,
  theme: Theme,
  options: ErrorViewOptions & { sql?: boolean } = {},
): string {
  const { groups, migrations } = report;
  const outside = new Map(
    migrations.filter((each) => !each.transaction).map((each) => [each.name, outsideWords(each)]),
  );
  const shown = groups.slice(0, MOST_GROUPS);
  const blocks = [
    ...(options.sql ? migrations.map((each) => sqlLines(each, options)) : []),
    ...shown.map((group) => groupLines(group, theme, outside, options)),
    ...(report.impact ? impactBlocks(report.impact, theme) : []),
    layoutLines(report, theme),
    noticeLines(report, theme),
    report.error ? [errorView(report.error, theme).trimEnd()] : [],
    [totalLine(report, theme), ...nextLines(report, theme)],
  ];
  const text = blocks.filter((block) => block.length > 0).map((block) => block.join('\n'));
  return `${text.join('\n\n')}\n`;
}

function groupLines(
  group: PlanGroup,
  theme: Theme,
  outside: ReadonlyMap<string, string>,
  options: ErrorViewOptions,
): string[] {
  const { outcome, pending, refusals, error, reason, tenants } = group;
  const who = plural(group.count, 'tenant');
  const title = `${symbolOf(outcome, theme)} ${theme.strong(who)}: ${wordsOf(group)}`;
  const names = nameList(tenants.map(tenantName), group.count);
  const width = theme.width - 4;
  const listed = outcome === 'pending' ? pending.slice(0, MOST_NAMES) : [];
  const more = outcome === 'pending' ? pending.length - listed.length : 0;
  const body = [
    ...(reason === undefined ? wrapLines([theme.dim(names)], width) : [theme.dim(names)]),
    ...listed.map(
      (name) => `+ ${oneLine(name)}${outside.has(name) ? theme.dim(`  ${outside.get(name)}`) : ''}`,
    ),
    ...(more > 0
      ? [theme.dim(`${theme.symbols.ellipsis} ${count(more)} more: use --json to list them`)]
      : []),
    ...refusals.flatMap(({ message, remedy }) => [
      ...wrapLines([oneLine(message)], width),
      ...hintLines(remedy, theme),
    ]),
    ...group.notices.map((notice) => `${theme.warn(theme.symbols.warning)} ${oneLine(notice)}`),
    ...(error ? [...messageLines(error), ...errorDetails(error, theme, options)] : []),
    ...hintLines(error?.hint, theme),
  ];
  return [title, ...body.map((line) => `    ${line}`)];
}

function outsideWords({ outsideFor }: PlannedMigration): string {
  return `outside a transaction${outsideFor === undefined ? '' : `, for ${oneLine(outsideFor)}`}`;
}

function wordsOf({ outcome, pending, reason }: PlanGroup): string {
  switch (outcome) {
    case 'pending':
      return `${count(pending.length)} pending`;
    case 'refused':
      return 'refused';
    case 'unreachable':
      return 'cannot be read';
    case 'skipped':
      return `skipped: ${oneLine(reason ?? '')}`;
    case 'current':
      return 'nothing pending';
  }
}

function symbolOf(outcome: PlanOutcome, { symbols, good, warn, bad, dim }: Theme): string {
  if (outcome === 'current') return good(symbols.tick);
  if (outcome === 'pending') return warn(symbols.lane);
  return outcome === 'skipped' ? dim(symbols.skipped) : bad(symbols.cross);
}

/** SQL as it would be sent, so that it can be read, or run by hand: what is not SQL is a comment. */
function sqlLines(migration: PlannedMigration, { shortPath }: ErrorViewOptions): string[] {
  const { name, path, tenants, kind, transaction, sql } = migration;
  const how = transaction ? '' : `, ${outsideWords(migration)}`;
  const file = oneLine(shortPath?.(path) ?? path);
  const header = `-- ${oneLine(name)}  (${file}, ${plural(tenants, 'tenant')}${how})`;
  if (kind === 'module') return [header, '-- code: its SQL is known only when it runs'];
  if (kind === 'foreign') return [header, "-- another tool's: it can't be run here"];
  return [header, harmless(sql ?? '').trim() || '-- nothing: the up section is empty'];
}

/** What `create` writes needs no word. */
function layoutLines({ layout }: PlanReport, theme: Theme): string[] {
  const usual = layout.split(', ').every((form) => /^(?:NAME(?:\.up)?\.(?:sql|[cm]?[jt]s))?$/.test(form));
  return usual ? [] : [theme.dim(`The core folder holds ${oneLine(layout)}`)];
}

function noticeLines(report: PlanReport, theme: Theme): string[] {
  const warning = theme.warn(theme.symbols.warning);
  const more = report.groups.slice(MOST_GROUPS).reduce((sum, group) => sum + group.count, 0);
  return [
    ...(more > 0 ? [`${warning} ${plural(more, 'tenant')} with other plans: use --json to list them`] : []),
    ...outsideLines(report).map((line) => `${warning} ${line}`),
    ...report.notices.map((notice) => `${warning} ${oneLine(notice)}`),
    ...behindCoreLines(report, theme),
  ];
}

/** What is not as in a transaction, where the file says nothing of it. */
function outsideLines({ migrations }: PlanReport): string[] {
  const found = migrations.filter(({ outsideFor }) => outsideFor !== undefined).length;
  if (!found) return [];
  const whole = found === 1 ? 'a migration runs' : `${count(found)} migrations run`;
  return [
    `${whole} statement by statement, because PostgreSQL can't run all of it in a transaction: after a failure, earlier statements are kept, and up --force resumes there`,
  ];
}

function totalLine(report: PlanReport, theme: Theme): string {
  const { counts, selection, durationMs, interrupted, unmet } = report;
  const { tick, lane, cross } = theme.symbols;
  if (unmet !== undefined) return `${theme.bad(cross)} ${unmetLine(unmet, selection)}`;
  if (counts.total === 0) return `${theme.good(tick)} No tenant matches ${selection}.`;
  const parts = [
    ...(counts.pending ? [`${theme.warn(lane)} ${count(counts.pending)} pending`] : []),
    ...(counts.refused ? [`${theme.bad(cross)} ${count(counts.refused)} refused`] : []),
    ...(counts.unreachable ? [`${theme.bad(cross)} ${count(counts.unreachable)} unreachable`] : []),
    ...(counts.current ? [`${theme.good(tick)} ${count(counts.current)} current`] : []),
    ...(counts.skipped ? [`${count(counts.skipped)} skipped`] : []),
    `${plural(counts.total, 'tenant')} in ${duration(durationMs)}`,
    ...(interrupted ? ['interrupted'] : []),
  ];
  return joinParts(parts, theme.width);
}

function nextLines({ counts, selection, groups }: PlanReport, theme: Theme): string[] {
  if (counts.pending === 0) return [];
  const [first] = groups[0]?.tenants ?? [];
  const which = counts.total === 1 && first ? `--tenant ${idWord(first.id)}` : selection;
  return [`Apply:  ${theme.command(`mpm-migrate up ${which}`)}`];
}
