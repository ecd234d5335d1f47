import type { CheckProblem } from '../../fleet/report/check-report.ts';
import type { FileProblem } from '../../errors.ts';
import type { Finding } from '../../lint/finding.ts';
import type { FailureGroup, RunCounts, RunReport } from '../../fleet/report/report.ts';
import { idWord } from '../../shell-word.ts';
import { count, duration, harmless, nameList, oneLine, plural } from '../format.ts';
import { tenantName } from '../views/tenant.ts';

/** GitHub Actions' own lines: one `::error` per group of equal failures, with the file's place where known. */
export function githubAnnotations(report: RunReport, shortPath: (path: string) => string): string {
  return report.failures.map((group) => annotation(group, shortPath)).join('');
}

function annotation(
  { error, count: total, tenants }: FailureGroup,
  shortPath: (path: string) => string,
): string {
  const names = nameList(tenants.map(tenantName), total);
  const title = total === 1 ? names : `${plural(total, 'tenant')} failed the same way`;
  const { excerpt, problems } = error;
  if (problems) return problemAnnotations(problems, shortPath, title);
  const [first] = tenants;
  const hint = error.hint?.replaceAll('{tenant}', first ? idWord(first.id) : 'NAME');
  const text = harmless([error.message, total > 1 ? names : '', hint].filter(Boolean).join('\n'));
  const place = excerpt ? placeOf(excerpt, shortPath) : {};
  return command({ ...place, title: error.migration ? `${title}: ${error.migration}` : title }, text);
}

/** One for each thing that is wrong with a file (histories 13). */
export function problemAnnotations(
  problems: readonly FileProblem[],
  shortPath: (path: string) => string,
  title: string,
): string {
  return problems
    .map((problem) => {
      const text = harmless([problem.message, problem.hint].filter(Boolean).join('\n'));
      return command({ ...placeOf(problem, shortPath), title }, text);
    })
    .join('');
}

/** One for each finding of `lint`. */
export function lintAnnotations(findings: readonly Finding[], shortPath: (path: string) => string): string {
  return findings
    .map((finding) => {
      const { rule, severity, hazard, message, lock, safe } = finding;
      const locks =
        lock &&
        `Locks ${lock.table} in ${lock.mode} mode${lock.blocks === null ? '' : `: ${lock.blocks} wait`}`;
      const text = harmless([message, hazard, locks, safe].filter(Boolean).join('\n'));
      const title = `mpm-migrate lint: ${rule}`;
      return command(
        { ...placeOf(finding, shortPath), title },
        text,
        severity === 'warn' ? 'warning' : 'error',
      );
    })
    .join('');
}

/** One for each problem of `check`. */
export function checkAnnotations(
  problems: readonly CheckProblem[],
  shortPath: (path: string) => string,
): string {
  return problems
    .map(({ kind, file, message, hint, excerpt }) => {
      const place = placeOf(
        { file, ...(excerpt && { line: excerpt.line, column: excerpt.column }) },
        shortPath,
      );
      return command(
        { ...place, title: `mpm-migrate check: ${kind}` },
        harmless(`${message}\n${hint}`),
        'error',
      );
    })
    .join('');
}

function placeOf(
  { file, line, column }: Pick<FileProblem, 'file' | 'line' | 'column'>,
  shortPath: (path: string) => string,
): Record<string, string> {
  if (line === undefined) return { file: shortPath(file) };
  return { file: shortPath(file), line: String(line), col: String(column) };
}

function command(
  properties: Readonly<Record<string, string>>,
  text: string,
  level: 'error' | 'warning' = 'error',
): string {
  const written = Object.entries(properties).map(
    ([key, value]) => `${key}=${escapeProperty(oneLine(value))}`,
  );
  return `::${level} ${written.join(',')}::${escapeData(text)}\n`;
}

// As in actions/toolkit, packages/core/src/command.ts.
function escapeData(text: string): string {
  return text.replaceAll('%', '%25').replaceAll('\r', '%0D').replaceAll('\n', '%0A');
}

function escapeProperty(text: string): string {
  return escapeData(text).replaceAll(':', '%3A').replaceAll(',', '%2C');
}

const OUTCOMES: (keyof RunCounts)[] = [
  'executed',
  'rehearsed',
  'migrated',
  'reverted',
  'current',
  'pending',
  'failed',
  'refused',
  'busy',
  'drifted',
  'skipped',
];

/** Markdown for the step summary: the counts, and a row per group of equal failures. */
export function githubSummary(report: RunReport): string {
  const { verb, run, counts, durationMs, failures } = report;
  const title = `### mpm-migrate ${verb}${run === null ? '' : `, run ${run}`}`;
  const outcomes = OUTCOMES.filter((outcome) => (counts[outcome] ?? 0) > 0);
  const lines = [
    title,
    '',
    `${plural(counts.total, 'tenant')} in ${duration(durationMs)}${report.interrupted ? ', interrupted' : ''}`,
    '',
    ...(outcomes.length
      ? [
          row(outcomes),
          row(outcomes.map(() => '---:')),
          row(outcomes.map((outcome) => count(counts[outcome] ?? 0))),
          '',
        ]
      : []),
    ...(failures.length
      ? [
          row(['Tenants', 'Migration', 'Error']),
          row(['---', '---', '---']),
          ...failures.map(({ error, count: total, tenants }) =>
            row([nameList(tenants.map(tenantName), total), error.migration ?? '', error.message].map(cell)),
          ),
          '',
        ]
      : []),
  ];
  return `${lines.join('\n')}\n`;
}

function row(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`;
}

/** Text that markdown and HTML leave alone. */
function cell(text: string): string {
  return harmless(text)
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replace(/[\\`*_[\]|]/g, String.raw`\$&`)
    .replace(/\s*\n\s*/g, '<br>');
}
