import type { RunReport, TenantResult } from '../../fleet/report/report.ts';
import { jsonOf } from '../../text.ts';

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

/** What is known of a server's tenants without reading their results again. Times in ms. */
export interface ServerSum {
  tenants: number;
  failed: number;
  skipped: number;
  durationMs: number;
}

/** Every tenant's result, also of a fleet that does not fit into memory: read again for each report. */
export interface AllResults {
  /** By server, in the order in which they were first heard of. */
  servers: ReadonlyMap<string, ServerSum>;
  /** In the order in which they ended; of one server, or of all. */
  read(server?: string): AsyncIterable<TenantResult>;
}
