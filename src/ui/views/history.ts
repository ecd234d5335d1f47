import type { HistoryEntry, StatusRow } from '../../fleet/status-report.ts';
import { duration, oneLine, table } from '../format.ts';
import type { Theme } from '../theme.ts';
import { tenantName } from './tenant.ts';

/** One tenant's history, a line per migration in their order. */
export function historyLines(row: StatusRow, history: readonly HistoryEntry[], theme: Theme): string[] {
  const { id, database, server } = row.tenant;
  const title = `${theme.strong(tenantName(row.tenant))}  id ${id}, database ${oneLine(database)} on ${oneLine(server)}`;
  const own = row.plugins ? [`  plugins: ${oneLine(row.plugins.join(', '))}`] : [];
  if (history.length === 0) return [title, ...own, theme.dim('  no migrations')];
  const columns = [
    { title: 'MIGRATION', flexible: true },
    ...(row.plugins ? [{ title: 'PLUGIN' }] : []),
    { title: 'STATE' },
    { title: 'APPLIED AT (UTC)' },
    { title: 'TOOK', align: 'right' as const },
    { title: 'RUN', align: 'right' as const },
    { title: 'BY', flexible: true },
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
    ...lines.flatMap((line, at) => [`${symbolOf(history[at], theme)} ${line}`, ...stopLines(history[at])]),
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

function symbolOf(entry: HistoryEntry | undefined, { symbols, good, warn, bad }: Theme): string {
  switch (entry?.state) {
    case 'applied':
    case 'baseline':
    case 'kept':
      return good(symbols.tick);
    case 'pending':
    case 'future':
      return warn(symbols.lane);
    default:
      return bad(symbols.cross);
  }
}
