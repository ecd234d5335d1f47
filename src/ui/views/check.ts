import type { CheckProblem, CheckReport } from '../../fleet/report/check-report.ts';
import { count, harmless, nameList, oneLine, plural } from '../format.ts';
import type { Theme } from '../theme.ts';
import { type ErrorViewOptions, excerptLines } from './error.ts';
import { lintText } from './lint.ts';
import { tenantName } from './tenant.ts';

/** What `lint` found, what else is wrong and what to do about it, what was left out, and the whole in a line. */
export function checkText(report: CheckReport, theme: Theme, options: ErrorViewOptions = {}): string {
  const { problems, leftOut, unreachable } = report;
  const { symbols } = theme;
  const blocks = [
    ...problems.map((problem) => problemLines(problem, theme, options)),
    unreachable.map(
      ({ tenant, error }) =>
        `${theme.bad(symbols.cross)} ${theme.strong(tenantName(tenant))}  could not be looked at: ${oneLine(error.message)}`,
    ),
    leftOut.map((text) => `${theme.warn(symbols.warning)} Left out: ${oneLine(text)}`),
    [totalLine(report, theme)],
  ];
  const text = blocks.filter((lines) => lines.length > 0).map((lines) => lines.join('\n'));
  return `${lintText(report.lint, theme, options)}\n${text.join('\n\n')}\n`;
}

function problemLines(problem: CheckProblem, theme: Theme, options: ErrorViewOptions): string[] {
  const { message, hint, tenants, excerpt } = problem;
  return [
    `${theme.bad(theme.symbols.cross)} ${oneLine(message)}`,
    ...(tenants ? [`    ${nameList(tenants.first.map(tenantName), tenants.count)}`] : []),
    ...(excerpt ? excerptLines(excerpt, theme, options).map((line) => `    ${line}`) : []),
    ...hint.split('\n').map((line) => `    ${theme.command(harmless(line))}`),
  ];
}

function totalLine({ counts, problems, lint, unreachable }: CheckReport, theme: Theme): string {
  const { built, reverted, seeds, tenants } = counts;
  const wrong = problems.length + lint.counts.errors;
  const bad = wrong + unreachable.length > 0;
  const mark = bad ? theme.bad(theme.symbols.cross) : theme.good(theme.symbols.tick);
  const done = [
    `${plural(built, 'migration')} built`,
    ...(reverted ? [`${count(reverted)} reverted and compared`] : []),
    ...(seeds ? [plural(seeds, 'seed')] : []),
    ...(tenants ? [`compared with ${plural(tenants, 'tenant')}`] : []),
  ];
  return `${mark} ${wrong ? theme.bad(plural(wrong, 'problem')) : 'nothing wrong'}: ${done.join(', ')}`;
}
