import type { MigrationState } from '../../engine/history/state.ts';
import type { StatusMatrix } from '../../fleet/report/status-report.ts';
import { count, nameList, oneLine, padEnd, padStart, plural, widthOf } from '../format.ts';
import type { Theme } from '../theme.ts';
import { tenantName } from './tenant.ts';

/** So many different groups of tenants fit side by side; the rest is counted. */
const MOST_GROUPS = 8;

/** A line per migration in which tenants differ, a column per group of tenants that agree, and who they are. */
export function matrixLines({ migrations, groups, others }: StatusMatrix, theme: Theme): string[] {
  if (groups.length === 0) return [];
  if (migrations.length === 0) return [`${theme.good(theme.symbols.tick)} All tenants are the same.`];
  const shown = groups.slice(0, MOST_GROUPS);
  const letters = shown.map((_, at) => String.fromCodePoint(65 + at));
  const cells = migrations.map((_, row) => shown.map(({ states }) => cellOf(states[row] ?? null, theme)));
  const widths = letters.map((_, at) => Math.max(1, ...cells.map((row) => widthOf(row[at]?.text ?? ''))));
  const digits = Math.max(...shown.map((group) => count(group.count).length));
  const more = groups.slice(MOST_GROUPS).reduce((sum, group) => sum + group.count, others);
  return [
    theme.dim(`  ${letters.map((letter, at) => padEnd(letter, widths[at] ?? 1)).join('  ')}  MIGRATION`),
    ...migrations.map((name, row) => {
      const line = cells[row]?.map(({ text, paint }, at) => paint(padEnd(text, widths[at] ?? 1))).join('  ');
      return `  ${line}  ${oneLine(name)}`;
    }),
    '',
    ...shown.map((group, at) => {
      const whom = `${padStart(count(group.count), digits)} ${group.count === 1 ? 'tenant ' : 'tenants'}`;
      return `  ${letters[at]}  ${whom}  ${nameList(group.tenants.map(tenantName), group.count)}`;
    }),
    ...(more > 0 ? [`  ${plural(more, 'tenant')} differ in other ways: use --json to list them`] : []),
    theme.dim(`  ${theme.symbols.tick} applied   ${theme.symbols.lane} pending   - not in its files`),
  ];
}

function cellOf(
  state: MigrationState | null,
  { symbols, good, warn, bad, dim }: Theme,
): { text: string; paint: (text: string) => string } {
  if (state === null) return { text: '-', paint: dim };
  if (state === 'applied' || state === 'baseline') return { text: symbols.tick, paint: good };
  if (state === 'pending' || state === 'deferred') return { text: symbols.lane, paint: warn };
  return { text: state, paint: bad };
}
