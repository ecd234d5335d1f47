import { sizeText } from '../../size.ts';
import type { AdoptedDatabase, AdoptReport } from '../../fleet/report/adopt-report.ts';
import { shellWord } from '../../shell-word.ts';
import { count, duration, joinParts, oneLine, plural, table } from '../format.ts';
import type { Theme } from '../theme.ts';
import { errorView } from './error.ts';

/** What is in each of many databases, and what became of it; who is left out last, above the totals. */
export function adoptText(report: AdoptReport, theme: Theme, words: readonly string[]): string {
  const { databases, write } = report;
  const isLeftOut = ({ outcome }: AdoptedDatabase) => outcome === 'left out';
  const columns = [
    { title: 'DATABASE', flexible: true, least: 16 },
    { title: 'SIZE', align: 'right' as const, spare: 1 },
    { title: 'FOUND', flexible: true, least: 20 },
    { title: write ? 'TENANT' : 'THEN' },
  ];
  const cells = [...databases.filter((each) => !isLeftOut(each)), ...databases.filter(isLeftOut)].map(
    (each) => [
      oneLine(each.database),
      each.bytes === undefined ? '' : sizeText(each.bytes),
      foundIn(each),
      each.outcome === 'adoptable' ? 'tenant' : each.id === undefined ? each.outcome : oneLine(each.id),
    ],
  );
  const { width, symbols, dim } = theme;
  const lines = databases.length
    ? table(columns, cells, { width, ellipsis: symbols.ellipsis, heading: dim })
    : [];
  const blocks = [
    lines,
    kindLines(report, theme),
    report.error ? [errorView(report.error, theme).trimEnd()] : [],
    [totalLine(report, theme), ...nextLines(report, theme, words)],
  ];
  const text = blocks.filter((block) => block.length > 0).map((block) => block.join('\n'));
  return `${text.join('\n\n')}\n`;
}

function foundIn({ holds, tool, applied = 0, ours, id, error }: AdoptedDatabase): string {
  if (error) return oneLine(error.message);
  const whose = ours ? '' : ', none of them yours';
  switch (holds) {
    case 'tool':
      return `${tool}: ${count(applied)} applied${whose}`;
    case 'history':
      return `a history: ${count(applied)} applied${whose}`;
    case 'tables':
      return 'tables, no history';
    case 'empty':
      return 'nothing';
    case 'registered':
      return `tenant ${oneLine(id ?? '')} already`;
    case 'central':
      return 'a central database';
    default:
      return 'no such database';
  }
}

/** How many of each kind: in hundreds of lines, five are easily missed. */
function kindLines({ databases, write }: AdoptReport, theme: Theme): string[] {
  const kinds = new Map<string, { count: number; outcome: string; sample: AdoptedDatabase }>();
  for (const each of databases) {
    const { holds, tool, ours, outcome } = each;
    const known = kinds.get(`${holds} ${tool} ${ours} ${outcome}`);
    if (known) known.count += 1;
    else kinds.set(`${holds} ${tool} ${ours} ${outcome}`, { count: 1, outcome, sample: each });
  }
  const then = { adopted: 'adopted', adoptable: 'to adopt', unchanged: 'unchanged' } as Record<
    string,
    string
  >;
  return [...kinds.values()].map(({ count: number, outcome, sample }) => {
    const { holds, tool, ours = false } = sample;
    const flag = tool ?? (['history', 'tables', 'empty'].includes(holds) ? holds : undefined);
    const remedy =
      flag === undefined || ours || sample.error ? '' : `  ${theme.dim(`To take them: --also ${flag}`)}`;
    const what = then[outcome] ?? `left out${remedy}`;
    return `${signOf(outcome, write, theme)} ${count(number)} ${nameOf(sample)}: ${what}`;
  });
}

function nameOf({ holds, tool, ours }: AdoptedDatabase): string {
  const whose = ours ? 'with migrations of yours' : 'with none of your migrations';
  const words: Record<AdoptedDatabase['holds'], string> = {
    tool: `${tool}, ${whose}`,
    history: `a history, ${whose}`,
    tables: 'tables without a history',
    empty: 'empty',
    registered: 'tenants already',
    central: 'central databases',
    missing: "that don't exist",
    unreadable: "that can't be read",
  };
  return words[holds];
}

function signOf(outcome: string, write: boolean, theme: Theme): string {
  const { tick, skipped, lane } = theme.symbols;
  if (outcome === 'left out') return theme.dim(skipped);
  return outcome === 'adoptable' && !write ? theme.warn(lane) : theme.good(tick);
}

function totalLine({ counts, write, durationMs, interrupted, server }: AdoptReport, theme: Theme): string {
  const { tick, lane, cross, skipped } = theme.symbols;
  const done = write
    ? `${theme.good(tick)} ${count(counts.adopted)} adopted`
    : `${theme.warn(lane)} ${count(counts.adopted)} to adopt`;
  return joinParts(
    [
      ...(counts.adopted ? [done] : []),
      ...(counts.unchanged ? [`${theme.good(tick)} ${count(counts.unchanged)} unchanged`] : []),
      ...(counts.leftOut ? [`${theme.dim(skipped)} ${count(counts.leftOut)} left out`] : []),
      ...(counts.failed ? [`${theme.bad(cross)} ${count(counts.failed)} failed`] : []),
      `${plural(counts.total, 'database')} of server ${oneLine(server)} in ${duration(durationMs)}`,
      ...(interrupted ? ['interrupted'] : []),
    ],
    theme.width,
  );
}

/** The command that writes it; then the one that takes the other tool's history over. */
function nextLines({ counts, next, write }: AdoptReport, theme: Theme, words: readonly string[]): string[] {
  if (counts.adopted === 0) return [];
  if (!write) {
    const again = `mpm-migrate ${words.map((word, at) => (at ? shellWord(word) : word)).join(' ')} --write`;
    return [`Nothing was written. To write:   ${theme.command(again)}`];
  }
  return next.map((command) => `Then:   ${theme.command(command)}`);
}
