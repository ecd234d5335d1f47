import type { ErrorReport } from '../../errors.ts';
import type { RunReport, TenantResult } from '../../fleet/report/report.ts';
import { idWord } from '../../shell-word.ts';
import {
  aftermathLines,
  errorDetails,
  type ErrorViewOptions,
  hintLines,
  messageLines,
} from '../views/error.ts';
import { oneLine } from '../format.ts';
import { tenantName } from '../views/tenant.ts';
import { themeFor } from '../theme.ts';
import type { AllResults, ServerSum } from './json.ts';
import { escapeAttribute, escapeMarkup } from './markup.ts';

export interface JunitOptions extends ErrorViewOptions {
  /** Of the machine that ran it. */
  host: string;
}

const plain = themeFor({}, { NO_COLOR: '1' });

/** JUnit's XML in the form of Ant's schema, which is the strictest: a suite per server, a case per tenant. */
export async function* junitReport(
  report: RunReport,
  results: AllResults,
  options: JunitOptions,
): AsyncGenerator<string> {
  yield '<?xml version="1.0" encoding="UTF-8"?>\n<testsuites>\n';
  const servers = results.servers.size ? [...results.servers] : [[undefined, EMPTY] as const];
  for (const [index, [server, sum]] of servers.entries()) {
    const suite = `mpm-migrate ${report.verb}${server === undefined ? '' : ` on ${server}`}`;
    // The run's own trouble belongs to no tenant: it is an error of the first suite.
    const error = index === 0 ? report.error : undefined;
    yield suiteHead(report, { suite, index, sum, error }, options);
    if (error) yield caseOf(suite, `run ${report.run ?? ''}`.trim(), 0, problem('error', error, '', options));
    if (server !== undefined) {
      for await (const result of results.read(server)) yield tenantCase(suite, result, options);
    }
    yield `    <system-out>${escapeMarkup(report.notices.join('\n'))}</system-out>\n    <system-err></system-err>\n  </testsuite>\n`;
  }
  yield '</testsuites>\n';
}

const EMPTY: ServerSum = { tenants: 0, failed: 0, skipped: 0, durationMs: 0 };

interface Suite {
  suite: string;
  index: number;
  sum: ServerSum;
  error: ErrorReport | undefined;
}

function suiteHead(report: RunReport, { suite, index, sum, error }: Suite, { host }: JunitOptions): string {
  const head = attributes({
    name: suite,
    package: 'mpm-migrate',
    id: index,
    // Without a zone: the schema has no place for it. It is UTC.
    timestamp: report.startedAt.slice(0, 19),
    hostname: host || 'localhost',
    tests: sum.tenants + (error ? 1 : 0),
    failures: sum.failed,
    errors: error ? 1 : 0,
    skipped: sum.skipped,
    time: seconds(report.durationMs),
  });
  const facts = {
    run: report.run,
    selection: report.selection,
    toolVersion: report.toolVersion,
    interrupted: report.interrupted,
  };
  const properties = Object.entries(facts).map(
    ([name, value]) => `      <property${attributes({ name, value: String(value ?? '') })}/>\n`,
  );
  return `  <testsuite${head}>\n    <properties>\n${properties.join('')}    </properties>\n`;
}

function tenantCase(suite: string, result: TenantResult, options: JunitOptions): string {
  const { tenant, outcome, error, reason, durationMs } = result;
  const name = tenantName(tenant);
  if (outcome === 'skipped') {
    return caseOf(suite, name, durationMs, `      <skipped${attributes({ message: reason ?? '' })}/>\n`);
  }
  return caseOf(
    suite,
    name,
    durationMs,
    error ? problem('failure', error, idWord(tenant.id), options, result.to) : '',
  );
}

function caseOf(suite: string, name: string, ms: number, content: string): string {
  const head = `    <testcase${attributes({ name, classname: suite, time: seconds(ms) })}`;
  return content ? `${head}>\n${content}    </testcase>\n` : `${head}/>\n`;
}

function problem(
  element: 'error' | 'failure',
  error: ErrorReport,
  tenant: string,
  options: JunitOptions,
  at?: string | null,
): string {
  const { code, message, migration, hint } = error;
  const lines = [
    ...(migration ? [oneLine(migration)] : []),
    ...messageLines(error),
    ...errorDetails(error, plain, options),
    ...aftermathLines(error.aftermath, at),
    ...hintLines(hint?.replaceAll('{tenant}', tenant), plain),
  ];
  const title = migration ? `${migration}: ${message}` : message;
  return `      <${element}${attributes({ message: title, type: code })}>${escapeMarkup(lines.join('\n'))}</${element}>\n`;
}

function attributes(values: Record<string, string | number>): string {
  return Object.entries(values)
    .map(([name, value]) => ` ${name}="${escapeAttribute(String(value))}"`)
    .join('');
}

function seconds(ms: number): string {
  return (ms / 1000).toFixed(3);
}
