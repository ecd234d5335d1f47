import type { Tenant } from '../../central/list/tenant.ts';
import { lastRun } from '../../central/runs.ts';
import type { Config } from '../../config/define.ts';
import { inspect } from '../../engine/history/lost.ts';
import { databaseMissing } from '../../postgres/connect.ts';
import { attemptOf, failedBy, type TenantAttempt } from '../attempt.ts';
import { Cohorts, type TenantInspection, historyOf, rowOf, stateOf, Matrix } from '../report/cohorts.ts';
import type { WalkContext } from '../context.ts';
import type { OnEvent } from '../events.ts';
import { readFleetFiles } from '../files.ts';
import { compareIds, type Outcome, type TenantResult } from '../report/report.ts';
import { type Selection, requireSelection, selectsByName } from '../select.ts';
import type {
  HistoryEntry,
  StatusReport,
  StatusRow,
  StatusState,
  VerifiedRun,
} from '../report/status-report.ts';
import { serialize } from '../schedule/serialize.ts';
import type { SweepOptions } from '../schedule/sweep.ts';
import { inactiveReason, type Visit } from '../visit.ts';
import { walk } from '../walk.ts';

export interface StatusOptions extends Pick<SweepOptions, 'concurrency' | 'signal'> {
  /** Read every history, not only those whose head stamp says too little (engine 30). */
  deep?: boolean;
  /** Say in which migrations the tenants differ. */
  matrix?: boolean;
  /** Each row as soon as it is known, with how many there are; the report then does not hold them. */
  onRow?: (row: StatusRow, total: number) => void;
  /** What happens meanwhile, but no `run-finished`: it is no run. */
  onEvent?: OnEvent;
}

/**
 * Looks at every selected tenant: where it stands, and what is to be said about it. Writes nothing and takes no
 * lock (engine 26). Throws only for what stops it before the first tenant.
 */
export async function status(
  config: Config,
  selection: Selection,
  { onRow, deep, matrix: wantsMatrix, ...options }: StatusOptions = {},
): Promise<StatusReport> {
  requireSelection(selection);
  const files = await readFleetFiles(config);
  const cohorts = new Cohorts();
  const matrix = wantsMatrix ? new Matrix(config.migrations.order) : undefined;
  const rows: StatusRow[] = [];
  const ourRows = 'builtIn' in config.tenants;
  let history: HistoryEntry[] | undefined;
  let stamped = 0;
  let notLooked = 0;
  let verified: VerifiedRun | undefined;

  // The history of one is shown as it is, not as its stamp says.
  const isSingle = ({ tenants }: WalkContext): boolean => tenants.total === 1 && selectsByName(selection);
  const gather = (
    _: TenantResult,
    attempt: TenantAttempt<TenantInspection>,
    tenant: Tenant,
    context: WalkContext,
  ): void => {
    // Not tried, or dropped since the walk began.
    if (!attempt.detail && !attempt.error) {
      notLooked += 1;
      return;
    }
    const row = rowOf(tenant, attempt, { ourRows });
    const fine = row.state === 'inactive' || (row.state === 'current' && !row.lacksCore);
    // Only those with something to do were selected.
    if (selection.behind && fine) return;
    cohorts.add(row);
    if (attempt.detail) matrix?.add(row.tenant, attempt.detail.inspection.plan.entries);
    if (attempt.detail?.stamped) stamped += 1;
    if (onRow) onRow(row, context.tenants.total);
    else rows.push(row);
    if (attempt.detail && isSingle(context)) history = historyOf(attempt.detail.inspection, tenant);
  };
  const report = await walk(
    config,
    {
      name: 'status',
      selection,
      files,
      failedOf: 'up',
      recorded: false,
      takesBehind: true,
      tellsBehind: true,
      tellsTools: true,
      passes: () => true,
      preflight: async ({ central }) => {
        // Who may not read the ledger is told of the tenants all the same.
        const last = await serialize(central, () => lastRun(central, 'verify')).catch(() => undefined);
        if (last) {
          const { number: run, selection: words, finishedAt, counts } = last;
          verified = { run, selection: words, finishedAt, counts };
        }
        return undefined;
      },
      visit: (visit) => {
        const single = isSingle(visit.context);
        const { context, tenant } = visit;
        const stamps = !deep && !single && !context.tools?.has(tenant);
        return inspectTenant(visit, { rows: single, stamps });
      },
      gather,
    },
    options,
  );
  const { toolVersion, startedAt, durationMs, interrupted, foldersBehind, behindCore, unmet, error } = report;
  const { grown, notices } = report;
  return {
    selection: report.selection,
    toolVersion,
    startedAt,
    durationMs,
    interrupted,
    counts: cohorts.counts,
    cohorts: cohorts.list(),
    stamped,
    ...(matrix ? { matrix: matrix.list() } : {}),
    foldersBehind,
    ...(behindCore ? { behindCore } : {}),
    ...(grown ? { grown } : {}),
    ...(unmet === undefined ? {} : { unmet }),
    ...(verified ? { verified } : {}),
    notices: [...notices, ...(notLooked ? [`${notLooked} were not looked at`] : [])],
    ...(onRow ? {} : { tenants: rows.sort((a, b) => compareIds(a.tenant.id, b.tenant.id)) }),
    ...(history ? { history } : {}),
    ...(error ? { error } : {}),
  };
}

const OUTCOME: Record<StatusState, Outcome> = {
  current: 'current',
  pending: 'pending',
  drifted: 'refused',
  unreachable: 'failed',
  inactive: 'skipped',
};

async function inspectTenant(
  visit: Visit<TenantInspection>,
  { rows, stamps }: { rows: boolean; stamps: boolean },
): Promise<TenantAttempt<TenantInspection>> {
  const { tenant } = visit;
  try {
    const found = await find(visit, { rows, stamps });
    const { head } = found.inspection.plan;
    const outcome = OUTCOME[stateOf(tenant, found.inspection)];
    return { ...attemptOf({ outcome, from: head, to: head }), detail: found };
  } catch (error) {
    const failed = failedBy(error);
    return inactiveReason(tenant) === undefined ? failed : { ...failed, outcome: 'skipped' };
  }
}

async function find(
  { tenant, target, migrations, options, context }: Visit,
  { rows, stamps }: { rows: boolean; stamps: boolean },
): Promise<TenantInspection> {
  const stamped = stamps ? await context.views.state(tenant, migrations, options) : undefined;
  if (stamped === 'missing') throw databaseMissing(target);
  if (typeof stamped === 'object') return { inspection: stamped, stamped: true };
  return { inspection: await inspect(target, { migrations }, { ...options, rows }) };
}
