import { pathToFileURL } from 'node:url';
import type { LintReport } from '../../fleet/report/lint-report.ts';
import type { AllowedFinding, Finding } from '../../lint/finding.ts';
import { jsonOf } from '../../text.ts';
import type { ErrorViewOptions } from '../views/error.ts';

/** The findings of `lint` as SARIF 2.1.0, which code hosts show beside the lines; allowed ones are suppressed there. */
export function* sarifReport(
  report: LintReport,
  _: unknown,
  { shortPath = (path) => path }: ErrorViewOptions,
): Generator<string> {
  const all: (Finding | AllowedFinding)[] = [...report.findings, ...report.allowed];
  const rules = [...new Map(all.map((finding) => [finding.rule, finding])).values()];
  const document = {
    $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
    version: '2.1.0',
    runs: [
      {
        tool: {
          driver: {
            name: 'mpm-migrate lint',
            version: report.toolVersion,
            rules: rules.map(({ rule, severity, hazard, page }) => ({
              id: rule,
              name: rule,
              shortDescription: { text: hazard },
              help: { text: `See ${page}.` },
              defaultConfiguration: { level: levelOf(severity) },
            })),
          },
        },
        results: all.map((finding) => resultOf(finding, shortPath)),
      },
    ],
  };
  yield `${jsonOf(document, 2)}\n`;
}

function resultOf(finding: Finding | AllowedFinding, shortPath: (path: string) => string) {
  const { rule, severity, message, lock, safe, file, line, column } = finding;
  const locks = lock ? ` Locks ${lock.table}, ${lock.mode}.` : '';
  return {
    ruleId: rule,
    level: levelOf(severity),
    message: { text: `${message}.${locks}\n${safe}` },
    locations: [
      {
        physicalLocation: {
          artifactLocation: { uri: uriOf(shortPath(file)) },
          region: { startLine: line, startColumn: column },
        },
      },
    ],
    ...('reason' in finding && { suppressions: [{ kind: 'inSource', justification: finding.reason }] }),
  };
}

function levelOf(severity: Finding['severity']): 'error' | 'warning' {
  return severity === 'warn' ? 'warning' : 'error';
}

/** Relative paths are the repository's. */
function uriOf(path: string): string {
  if (/^(?:\/|[A-Za-z]:)/.test(path)) return pathToFileURL(path).href;
  return path.split(/[\\/]/).map(encodeURIComponent).join('/');
}
