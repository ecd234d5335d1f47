import type { CentralRepairReport } from '../../central/schema/repair.ts';
import type { CentralStatus } from '../../central/schema/status.ts';
import type { CentralReport } from '../../central/schema/up.ts';
import { count, duration, oneLine, plural, table } from '../format.ts';
import type { Theme } from '../theme.ts';

/** What `central up` or `central down` did. */
export function centralReportText(report: CentralReport, theme: Theme): string {
  const { symbols, good, strong } = theme;
  const place = strong(oneLine(report.database));
  const lines = report.sets.flatMap(({ applied }) =>
    applied.map(({ name, direction, durationMs }) => {
      const arrow = direction === 'down' ? 'reverted ' : '';
      return `  ${arrow}${name}  ${theme.dim(duration(durationMs))}`;
    }),
  );
  const notices = report.sets.flatMap((set) =>
    set.notices.map((notice) => `${theme.warn(symbols.warning)} ${notice}`),
  );
  const done = report.sets.reduce((sum, { applied }) => sum + applied.length, 0);
  const did = report.verb === 'central down' ? 'reverted' : 'applied';
  const what = [
    ...(report.created ? ['created'] : []),
    ...(done ? [`${plural(done, 'migration')} ${did}`] : ['nothing to do']),
  ].join(', ');
  const last = `${good(symbols.tick)} ${place}  ${what}  ${theme.dim(`${duration(report.durationMs)}`)}`;
  return `${[...lines, ...notices, last].join('\n')}\n`;
}

/** What `repair --central` did, or would do; `again`: the command without its --write. */
export function centralRepairText(
  { database, changes, write }: CentralRepairReport,
  { symbols, good, warn, strong, command }: Theme,
  again: string,
): string {
  const place = strong(oneLine(database));
  if (!changes.length) return `${good(symbols.tick)} ${place}: nothing to repair\n`;
  const lines = changes.map(({ action, name }) =>
    action === 'forget'
      ? `    - ${oneLine(name)}  forgotten`
      : `    ~ ${oneLine(name)}  accepted as it is now`,
  );
  const head = write
    ? `${good(symbols.tick)} ${place}: ${plural(changes.length, 'change')}`
    : `${warn(symbols.lane)} ${place}: ${plural(changes.length, 'change')} to make`;
  const next = write ? [] : [`Nothing was written. To write:   ${command(`mpm-migrate ${again} --write`)}`];
  return `${[head, ...lines, ...next].join('\n')}\n`;
}

/** Where the central database stands. */
export function centralStatusText(status: CentralStatus, theme: Theme): string {
  const { symbols, good, warn, bad, dim, strong, command } = theme;
  const place = `${strong(oneLine(status.database))} on ${oneLine(status.host)}:${status.port}`;
  const up = `Try:  ${command('mpm-migrate central up')}`;
  if (!status.exists) return `${bad(symbols.cross)} ${place} doesn't exist yet\n\n${up}\n`;
  const cells = status.sets.map(({ set, head, applied, pending }) => [
    SETS[set],
    head ?? '(none)',
    count(applied),
    count(pending.length),
  ]);
  const columns = [
    { title: 'MIGRATIONS OF' },
    { title: 'AT', flexible: true },
    { title: 'APPLIED', align: 'right' as const },
    { title: 'PENDING', align: 'right' as const },
  ];
  const options = { width: theme.width - 2, ellipsis: symbols.ellipsis, heading: dim };
  const rows = table(columns, cells, options).map((line) => `  ${line}`);
  const problems = status.sets.flatMap((set) =>
    set.problems.map((problem) => `${bad(symbols.cross)} ${problem}`),
  );
  const tables = status.tables.map(({ name }) => name).join(', ');
  const pending = status.sets.reduce((sum, set) => sum + set.pending.length, 0);
  const last = problems.length
    ? `${bad(symbols.cross)} central up would be refused`
    : status.upToDate
      ? `${good(symbols.tick)} up to date`
      : `${warn(symbols.warning)} ${plural(pending, 'migration')} pending`;
  return `${[
    `${place}  ${dim(`PostgreSQL ${status.serverVersion ?? '?'}`)}`,
    '',
    ...rows,
    '',
    ...(tables ? [`  ${dim('tables')}  ${tables}`, ''] : []),
    ...problems,
    last,
    ...(status.upToDate || problems.length ? [] : ['', up]),
  ].join('\n')}\n`;
}

const SETS = { ledger: 'the ledger', registry: 'the list of tenants', central: 'your own' };
