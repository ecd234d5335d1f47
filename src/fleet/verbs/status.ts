import { type Central, withCentral } from '../../central/central.ts';
import { tenantProblem } from '../../central/problem.ts';
import type { Tenant } from '../../central/tenant.ts';
import type { Config } from '../../config/define.ts';
import { type ErrorReport, asMpmError, errorReport } from '../../errors.ts';
import { inspect } from '../../migration/inspect.ts';
import { databaseMissing } from '../../postgres/connect.ts';
import { isTransient } from '../../postgres/sqlstate.ts';
import { tenantSet } from '../../tenant/folder.ts';
import { TOOL_VERSION } from '../../version.ts';
import { behindCore } from '../behind.ts';
import { compareIds } from '../ids.ts';
import { Cohorts, type Look, historyOf, resultOfRow, rowOf } from '../cohorts.ts';
import type { OnEvent, Unstamped } from '../events.ts';
import { type FleetFiles, readFleetFiles } from '../files.ts';
import type { Trial } from '../lanes.ts';
import { pressureOf } from '../limit.ts';
import { type Selection, describeSelection, requireSelection, selectsByName } from '../select.ts';
import type { HistoryEntry, StatusReport, StatusRow } from '../status-report.ts';
import { Matrix } from '../matrix.ts';
import { ServerViews } from '../server-view.ts';
import { type SweepOptions, survey, sweep } from '../sweep.ts';
import { refOf } from '../tried.ts';
import { unmetBy } from '../unmet.ts';
import { targetOf } from '../work.ts';

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
  options: StatusOptions = {},
): Promise<StatusReport> {
  requireSelection(selection);
  const files = await readFleetFiles(config);
  return withCentral(config, (central) => look(central, files, selection, options));
}

async function look(
  central: Central,
  files: FleetFiles,
  selection: Selection,
  { onRow, onEvent, deep, matrix: wantsMatrix, ...options }: StatusOptions,
): Promise<StatusReport> {
  const started = Date.now();
  const tenants = await survey(central, selection);
  const cohorts = new Cohorts();
  const rows: StatusRow[] = [];
  const words = describeSelection(selection);
  const tell = (event: Unstamped): unknown => onEvent?.({ ...event, at: Date.now() - started });
  let history: HistoryEntry[] | undefined;
  let notLooked = 0;
  let error: ErrorReport | undefined;
  const unmet =
    tenants.total === 0 ? await unmetBy(central, selection, { none: true, held: false }) : undefined;
  const single = tenants.total === 1 && selectsByName(selection);
  const matrix = wantsMatrix ? new Matrix() : undefined;
  // A history is shown as it is, not as its stamp says.
  const views = deep || single ? undefined : new ServerViews(central);
  let stamped = 0;

  tell({ type: 'run-started', run: null, verb: 'status', total: tenants.total, selection: words });
  await sweep<Look>(
    central,
    tenants,
    { ...options, views },
    {
      attempt: async (tenant) => {
        tell({ type: 'tenant-started', tenant: refOf(tenant) });
        return lookAt(tenant, central.config, files, { whole: single, views });
      },
      onRetry: (tenant, { value }, retryInMs) => {
        const reason = 'error' in value ? value.error.message : '';
        tell({ type: 'tenant-waiting', tenant: refOf(tenant), reason, retryInMs });
      },
      onSettled: async (tenant, { value }, attempts) => {
        const row = rowOf(tenant, value, { ourRows: 'builtIn' in central.config.tenants });
        const behind = (row.lacksCore ?? 0) > 0;
        const fine = row.state === 'inactive' || (row.state === 'current' && !behind);
        await tell({ type: 'tenant-finished', result: resultOfRow(row, attempts) });
        // Only those with something to do were selected.
        if (selection.behind && fine) return;
        cohorts.add(row);
        if ('inspection' in value) {
          matrix?.add(row.tenant, value.inspection.plan.entries);
          if (value.stamped) stamped += 1;
        }
        if (onRow) onRow(row, tenants.total);
        else rows.push(row);
        if (single && 'inspection' in value) history = historyOf(value.inspection, tenant);
      },
      onGivenUp: (_, { trial }) => trial,
      onNotTried: () => {
        notLooked += 1;
      },
    },
  ).catch((reason: unknown) => {
    error = errorReport(reason);
  });
  return {
    selection: words,
    toolVersion: TOOL_VERSION,
    startedAt: new Date(started).toISOString(),
    durationMs: Date.now() - started,
    interrupted: options.signal?.aborted ?? false,
    counts: cohorts.counts,
    cohorts: cohorts.list(),
    stamped,
    ...(matrix ? { matrix: matrix.list() } : {}),
    ...cohorts.behind.said,
    ...(unmet === undefined ? {} : { unmet }),
    notices: notLooked ? [`${notLooked} were not looked at`] : [],
    ...(onRow ? {} : { tenants: rows.sort((a, b) => compareIds(a.tenant.id, b.tenant.id)) }),
    ...(history ? { history } : {}),
    ...(error ? { error } : {}),
  };
}

async function lookAt(
  tenant: Tenant,
  config: Config,
  files: FleetFiles,
  { whole, views }: { whole: boolean; views: ServerViews | undefined },
): Promise<Trial<Look>> {
  try {
    const problem = tenantProblem(tenant, config);
    if (problem) throw problem;
    const { migrations, ownFolder, lacksCore } = await tenantSet(tenant, files.core, config, files.cache);
    const target = targetOf(tenant, config, 'status');
    const folder = ownFolder ? { lacksCore: behindCore(config, lacksCore) } : {};
    const standing = await views?.standing(tenant, migrations);
    if (standing === 'missing') throw databaseMissing(target);
    if (typeof standing === 'object') {
      return { value: { inspection: standing, stamped: true, ...folder }, failed: false, retryable: false };
    }
    const how = { history: config.history, rows: whole, outOfOrder: config.outOfOrder === 'apply' };
    const inspection = await inspect(target, { migrations }, how);
    return { value: { inspection, ...folder }, failed: false, retryable: false };
  } catch (thrown) {
    const error = asMpmError(thrown);
    const retryable = isTransient(error.cause ?? error);
    return { value: { error }, failed: true, retryable, pressure: pressureOf(error) };
  }
}
