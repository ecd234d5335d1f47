import type { RunReport } from '../../fleet/report.ts';
import { jsonOf } from '../../text.ts';
import type { AllResults } from './all-results.ts';

/** The report as `--json` prints it, with every tenant's result in it. */
export async function* jsonReport(report: RunReport, results: AllResults): AsyncGenerator<string> {
  const head = jsonOf({ ...report, tenants: undefined }, 2);
  yield `${head.slice(0, -2)},\n  "tenants": [`;
  let separator = '\n    ';
  for await (const result of results.read()) {
    yield separator + jsonOf(result);
    separator = ',\n    ';
  }
  yield '\n  ]\n}\n';
}
