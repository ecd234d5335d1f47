import type { LintReport } from '../../fleet/report/lint-report.ts';
import type { Finding } from '../../lint/finding.ts';
import { count, harmless, oneLine, plural, wrapLines } from '../format.ts';
import type { Theme } from '../theme.ts';
import { type ErrorViewOptions, excerptLines } from './error.ts';

/** So many of a rule are shown with the lines of the file; the others by their places. */
const MOST_SHOWN = 3;
const MOST_NAMED = 10;

/** What the rules found, a block a rule, the errors first; what was judged, and how much is wrong, last. */
export function lintText(report: LintReport, theme: Theme, options: ErrorViewOptions = {}): string {
  const { findings, notLinted, notices } = report;
  const rules = [...groupByRule(findings).values()].toSorted(
    ([a], [b]) => Number(a?.severity === 'warn') - Number(b?.severity === 'warn'),
  );
  const blocks = [
    ...rules.map((found) => ruleBlock(found, theme, options)),
    notLinted.map(
      ({ file, reason }) =>
        `${theme.dim(theme.symbols.skipped)} ${theme.strong(short(file, options))}  not linted: ${oneLine(reason)}`,
    ),
    notices.map((notice) => `${theme.warn(theme.symbols.warning)} ${oneLine(notice)}`),
    totalLines(report, theme),
  ];
  const text = blocks.filter((block) => block.length > 0).map((block) => block.join('\n'));
  return `${text.join('\n\n')}\n`;
}

function ruleBlock(found: readonly Finding[], theme: Theme, options: ErrorViewOptions): string[] {
  const [first] = found;
  if (!first) return [];
  const { symbols } = theme;
  const mark = first.severity === 'error' ? theme.bad(symbols.cross) : theme.warn(symbols.warning);
  const shown = found.slice(0, MOST_SHOWN);
  const others = found.slice(MOST_SHOWN);
  const named = others.slice(0, MOST_NAMED).map(({ file, line }) => `${short(file, options)}:${line}`);
  const more = others.length - named.length;
  return [
    `${mark} ${theme.strong(first.rule)}  ${theme.dim(first.page)}`,
    ...wrapLines([first.hazard], theme.width - 4).map((line) => `    ${line}`),
    ...shown.flatMap((finding) => findingLines(finding, theme, options)),
    ...(others.length
      ? [
          `    ${theme.dim(`${count(others.length)} more: ${named.join(', ')}${more > 0 ? `, ${symbols.ellipsis}` : ''}`)}`,
        ]
      : []),
    '    Instead:',
    ...first.safe.split('\n').map((line) => `      ${theme.command(harmless(line))}`),
  ];
}

function findingLines(
  { message, lock, excerpt }: Finding,
  theme: Theme,
  options: ErrorViewOptions,
): string[] {
  const waits = lock?.blocks ? `: ${lock.blocks} wait` : '';
  return [
    `    ${oneLine(message)}`,
    ...(lock ? [`    ${theme.dim(`locks ${oneLine(lock.table)}, ${lock.mode}${waits}`)}`] : []),
    ...excerptLines(excerpt, theme, options).map((line) => `    ${line}`),
  ];
}

function totalLines({ counts, chosen, since }: LintReport, theme: Theme): string[] {
  const { linted, migrations, errors, warnings, allowed } = counts;
  const which = {
    unapplied: 'that no tenant has applied',
    changed: `changed since ${since ? oneLine(since.name) : ''}`,
    named: 'named',
    all: 'all there are',
  }[chosen];
  const found = [
    ...(errors ? [theme.bad(plural(errors, 'error'))] : []),
    ...(warnings ? [theme.warn(plural(warnings, 'warning'))] : []),
  ];
  const mark = errors
    ? theme.bad(theme.symbols.cross)
    : warnings
      ? theme.warn(theme.symbols.warning)
      : theme.good(theme.symbols.tick);
  const judged = `${count(linted)} of ${plural(migrations, 'migration')} judged: ${which}`;
  const said = found.length ? found.join(', ') : 'nothing found';
  return [`${mark} ${said}${allowed ? `, ${count(allowed)} allowed` : ''}; ${judged}`];
}

function short(file: string, { shortPath }: ErrorViewOptions): string {
  return oneLine(shortPath?.(file) ?? file);
}

function groupByRule(findings: readonly Finding[]): Map<string, Finding[]> {
  const groups = new Map<string, Finding[]>();
  for (const finding of findings) {
    const group = groups.get(finding.rule);
    if (group) group.push(finding);
    else groups.set(finding.rule, [finding]);
  }
  return groups;
}
