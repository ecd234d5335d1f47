import type { HistoryChange, EditGroup, EditReport } from '../../fleet/report/edit-report.ts';
import { count, duration, joinParts, nameList, oneLine, plural } from '../format.ts';
import { groupLines } from '../report/text.ts';
import type { Theme } from '../theme.ts';
import { errorView, type ErrorViewOptions } from './error.ts';
import { tenantName, unmetLine } from './tenant.ts';

const MOST_NAMES = 20;
const MOST_GROUPS = 10;

const WORDS: Record<HistoryChange['action'], { sign: string; what: string }> = {
  record: { sign: '+', what: 'recorded, not run' },
  accept: { sign: '~', what: 'accepted as it is now' },
  'mark-applied': { sign: '~', what: 'marked as applied' },
  forget: { sign: '-', what: 'forgotten' },
  source: { sign: '~', what: 'assigned to another source' },
  empty: { sign: '+', what: 'recorded with nothing applied' },
  stamp: { sign: '~', what: 'mended' },
};

/** What `repair`, `baseline` and `resolve` did to histories, or would do; `again`: the command that does it. */
export function editText(
  report: EditReport,
  theme: Theme,
  options: ErrorViewOptions & { again?: string } = {},
): string {
  const rest = report.groups.slice(MOST_GROUPS).reduce((sum, group) => sum + group.count, 0);
  const warning = theme.warn(theme.symbols.warning);
  const blocks = [
    ...report.groups.slice(0, MOST_GROUPS).map((group) => changeLines(group, report.write, theme)),
    ...report.failures.slice(0, MOST_GROUPS).map((group) => groupLines(group, theme, options)),
    [
      ...(rest > 0
        ? [`${warning} ${plural(rest, 'tenant')} with other changes: use --json to list them`]
        : []),
      ...report.skipped.map(
        (entry) =>
          `${theme.dim(theme.symbols.skipped)} ${count(entry.count)} skipped: ${oneLine(entry.reason)}`,
      ),
      ...report.notices.map((notice) => `${warning} ${oneLine(notice)}`),
    ],
    report.error ? [errorView(report.error, theme, options).trimEnd()] : [],
    [totalLine(report, theme), ...nextLines(report, theme, options.again)],
  ];
  const text = blocks.filter((block) => block.length > 0).map((block) => block.join('\n'));
  return `${text.join('\n\n')}\n`;
}

function changeLines({ changes, tenants, count: total }: EditGroup, write: boolean, theme: Theme): string[] {
  const names = nameList(tenants.map(tenantName), total);
  const symbol = write ? theme.good(theme.symbols.tick) : theme.warn(theme.symbols.lane);
  const who = total === 1 ? theme.strong(names) : theme.strong(plural(total, 'tenant'));
  const actions = [...new Set(changes.map(({ action }) => action))];
  const said = actions.map((action) => {
    const number = changes.filter((change) => change.action === action).length;
    return `${count(number)} ${write ? '' : 'to be '}${WORDS[action].what}`;
  });
  const more = changes.length - MOST_NAMES;
  const body = [
    ...(total === 1 ? [] : [theme.dim(names)]),
    ...changes.slice(0, MOST_NAMES).map(({ action, name }) => `${WORDS[action].sign} ${oneLine(name)}`),
    ...(more > 0
      ? [theme.dim(`${theme.symbols.ellipsis} ${count(more)} more: use --json to list them`)]
      : []),
  ];
  return [`${symbol} ${who}: ${said.join(', ')}`, ...body.map((line) => `    ${line}`)];
}

function totalLine(report: EditReport, theme: Theme): string {
  const { counts, selection, durationMs, write, interrupted, unmet } = report;
  const { tick, cross, lane } = theme.symbols;
  if (unmet !== undefined) return `${theme.bad(cross)} ${unmetLine(unmet, selection)}`;
  if (counts.total === 0) return `${theme.good(tick)} No tenant matches ${selection}: nothing to do.`;
  const done = write ? `${theme.good(tick)} ${count(counts.changed)} changed` : '';
  const parts = [
    ...(counts.changed ? [done || `${theme.warn(lane)} ${count(counts.changed)} to change`] : []),
    ...(counts.unchanged ? [`${theme.good(tick)} ${count(counts.unchanged)} unchanged`] : []),
    ...(counts.failed ? [`${theme.bad(cross)} ${count(counts.failed)} failed`] : []),
    ...(counts.busy ? [`${theme.bad(cross)} ${count(counts.busy)} busy`] : []),
    ...(counts.skipped ? [`${count(counts.skipped)} skipped`] : []),
    `${plural(counts.total, 'tenant')} in ${duration(durationMs)}`,
    ...(interrupted ? ['interrupted'] : []),
  ];
  return joinParts(parts, theme.width);
}

function nextLines({ counts, write }: EditReport, theme: Theme, again: string | undefined): string[] {
  if (write || counts.changed === 0 || again === undefined) return [];
  return [`Nothing was written. To write:   ${theme.command(`mpm-migrate ${again} --write`)}`];
}
