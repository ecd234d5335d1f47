import type { PoolReport, PoolStatus } from '../../tenants/create/pool.ts';
import { count, duration, oneLine, plural, table } from '../format.ts';
import type { Theme } from '../theme.ts';

/** The pools of all servers, a line each. */
export function poolStatusText(pools: readonly PoolStatus[], theme: Theme): string {
  const right = { align: 'right' as const };
  const columns = [
    { title: 'SERVER', flexible: true },
    { title: 'READY', ...right },
    { title: 'STALE', ...right },
    { title: 'UNFINISHED', ...right },
  ];
  const cells = pools.map(({ server, ready, stale, unfinished }) => [
    oneLine(server),
    count(ready),
    count(stale),
    count(unfinished),
  ]);
  const lines = table(columns, cells, {
    width: theme.width,
    ellipsis: theme.symbols.ellipsis,
    heading: theme.dim,
  });
  const open = pools.some(({ stale, unfinished }) => stale + unfinished > 0);
  const replace = `\nReplace stale and unfinished databases:   ${theme.command('mpm-migrate tenant pool fill --size 5')}\n`;
  return `${lines.join('\n')}\n${open ? replace : ''}`;
}

/** What a fill or a drain did. */
export function poolReportText(report: PoolReport, theme: Theme): string {
  const { server, ready, made, dropped, notices, durationMs } = report;
  const notes = notices.map((notice) => `${theme.warn(theme.symbols.warning)} ${oneLine(notice)}\n`);
  const did = [made ? `${count(made)} made` : '', dropped ? `${count(dropped)} dropped` : ''].filter(Boolean);
  const what = `${did.join(', ') || 'nothing to do'}, ${duration(durationMs)}`;
  const last = `${theme.good(theme.symbols.tick)} ${plural(ready, 'database')} ready on ${oneLine(server)}  ${theme.dim(what)}`;
  return `${notes.join('')}${last}\n`;
}
