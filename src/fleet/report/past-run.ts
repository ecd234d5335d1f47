import type { RunRow, TenantRecord } from '../../central/runs.ts';
import { MpmError } from '../../errors.ts';
import { ReportBuilder } from './collect.ts';
import type { Outcome, RunReport, TenantResult } from './report.ts';

/**
 * The report of a run of the ledger. What only the run itself knew (notices, what was pending, waves) is not in it.
 * @param records all of the run's
 * @throws MpmError USAGE for a run that is in progress
 */
export function reportOfRun(
  run: RunRow,
  records: readonly TenantRecord[],
): { report: RunReport; results: TenantResult[] } {
  const { number, verb, selection, toolVersion, startedAt, finishedAt, seenAt, outcome, total, error } = run;
  if (outcome === 'running') {
    throw new MpmError('USAGE', `Run ${number} is still in progress, on ${run.host}`, {
      subject: String(number),
      hint: `Its report can be written when it has ended. To look: mpm-migrate run show ${number}`,
    });
  }
  const builder = new ReportBuilder(
    { run: number, verb, selection, toolVersion, startedAt },
    { keepResults: false },
  );
  const results = records.map((record) => ({
    ...record,
    outcome: record.outcome as Outcome,
    applied: [...record.applied],
    pending: [],
    notices: [],
  }));
  for (const result of results) builder.add(result);
  const lost = (total ?? 0) - results.length;
  if (lost > 0)
    builder.notice(`${lost} of ${total} tenants have no result: the run ended before it recorded them`);
  if (error) builder.error = error;
  const durationMs = Date.parse(finishedAt ?? seenAt) - Date.parse(startedAt);
  return { report: builder.finish({ durationMs, interrupted: outcome === 'interrupted' }), results };
}
