import { type Central, withCentral } from '../../central/central.ts';
import { tenantProblem } from '../../central/problem.ts';
import type { Tenant } from '../../central/tenant.ts';
import type { Config } from '../../config/define.ts';
import { type ErrorReport, asMpmError, errorReport } from '../../errors.ts';
import { inspect } from '../../migration/inspect.ts';
import { isTransient } from '../../postgres/sqlstate.ts';
import { tenantSet } from '../../tenant/folder.ts';
import { TOOL_VERSION } from '../../version.ts';
import { behindCore } from '../behind.ts';
import type { OnEvent, Unstamped } from '../events.ts';
import { type FleetFiles, limitedTo, readFleetFiles } from '../files.ts';
import type { Trial } from '../lanes.ts';
import { pressureOf } from '../limit.ts';
import type { PlanOutcome, PlanReport } from '../plan-report.ts';
import { outcomeOf, type PlanLook, Plans } from '../plans.ts';
import type { Outcome, TenantResult } from '../report.ts';
import { type Selection, describeSelection, requireForceByName, requireSelection } from '../select.ts';
import { type SweepOptions, survey, sweep } from '../sweep.ts';
import { refOf, reportFor } from '../tried.ts';
import { unmetBy } from '../unmet.ts';
import { inactiveReason, passing, type Past, pastInPlan, targetOf } from '../work.ts';

export interface PlanOptions extends Pick<SweepOptions, 'concurrency' | 'signal'> {
  /** Go no further than this migration: a name or a version. */
  to?: string;
  /** What `up --force` would do; only with tenants selected by name. */
  force?: boolean;
  /** What `up --out-of-order` would do; by default as `outOfOrder` in the configuration says. */
  outOfOrder?: boolean;
  /** What `up --include-held` would do. */
  includeHeld?: boolean;
  /** What `up --accept-changed` would do. */
  acceptChanged?: boolean;
  /** Also what would be sent. */
  sql?: boolean;
  /** What happens meanwhile, but no `run-finished`: it is no run. */
  onEvent?: OnEvent;
}

/**
 * What `up` would do to every selected tenant, grouped by equal plans (fleet 22). Writes nothing and takes no lock
 * (engine 26). Throws only for what stops it before the first tenant.
 */
export async function plan(
  config: Config,
  selection: Selection,
  { onEvent, sql = false, to, force, outOfOrder, includeHeld, acceptChanged, ...options }: PlanOptions = {},
): Promise<PlanReport> {
  requireSelection(selection);
  requireForceByName(selection, force);
  const files = await readFleetFiles(config, to);
  const started = Date.now();
  const plans = new Plans();
  const words = describeSelection(selection);
  const tell = (event: Unstamped): void => void onEvent?.({ ...event, at: Date.now() - started });
  let notLooked = 0;
  let error: ErrorReport | undefined;
  let unmet: string | undefined;

  const lookAtAll = async (central: Central): Promise<void> => {
    const tenants = await survey(central, selection);
    tell({ type: 'run-started', run: null, verb: 'plan', total: tenants.total, selection: words });
    if (tenants.total === 0) unmet = await unmetBy(central, selection, { none: true, held: false });
    await sweep<PlanLook>(central, tenants, options, {
      attempt: (tenant) => {
        tell({ type: 'tenant-started', tenant: refOf(tenant) });
        return lookAt(tenant, central.config, files, { force, outOfOrder, includeHeld, acceptChanged });
      },
      onRetry: (tenant, { value }, retryInMs) => {
        const reason = 'error' in value ? value.error.message : '';
        tell({ type: 'tenant-waiting', tenant: refOf(tenant), reason, retryInMs });
      },
      onSettled: (tenant, { value }, attempts) => {
        tell({ type: 'tenant-finished', result: resultOf(tenant, value, attempts) });
        // Only those with something to do were selected.
        const behind = 'lacksCore' in value && value.lacksCore > 0;
        if (selection.behind && outcomeOf(value) === 'current' && !behind) return;
        plans.add(tenant, value);
      },
      onGivenUp: (_, { trial }) => trial,
      onNotTried: () => {
        notLooked += 1;
      },
    }).catch((reason: unknown) => {
      error = errorReport(reason);
    });
  };
  await withCentral(config, lookAtAll);
  return {
    verb: 'plan',
    selection: words,
    toolVersion: TOOL_VERSION,
    startedAt: new Date(started).toISOString(),
    durationMs: Date.now() - started,
    interrupted: options.signal?.aborted ?? false,
    counts: plans.counts,
    groups: plans.groups(),
    migrations: plans.migrations({ sql }),
    ...plans.behind.said,
    ...(unmet === undefined ? {} : { unmet }),
    notices: [...plans.notices, ...(notLooked ? [`${notLooked} were not looked at`] : [])],
    ...(error ? { error } : {}),
  };
}

async function lookAt(
  tenant: Tenant,
  config: Config,
  files: FleetFiles,
  past: Past,
): Promise<Trial<PlanLook>> {
  const passed = { failed: false, retryable: false };
  try {
    const reason = inactiveReason(tenant);
    if (reason !== undefined && !passing(tenant, past)) return { value: { reason }, ...passed };
    const problem = tenantProblem(tenant, config);
    if (problem) throw problem;
    const { migrations, lacksCore } = await tenantSet(tenant, files.core, config, files.cache);
    const { migrations: set, ...limit } = limitedTo(migrations, files.to);
    const options = { history: config.history, ...pastInPlan(config, past), ...limit };
    const found = await inspect(targetOf(tenant, config, 'plan'), { migrations: set }, options);
    return { value: { plan: found.plan, lacksCore: behindCore(config, lacksCore, files.to) }, ...passed };
  } catch (thrown) {
    const error = asMpmError(thrown);
    const retryable = isTransient(error.cause ?? error);
    return { value: { error }, failed: true, retryable, pressure: pressureOf(error) };
  }
}

const OUTCOME: Record<PlanOutcome, Outcome> = {
  current: 'current',
  pending: 'pending',
  refused: 'refused',
  skipped: 'skipped',
  unreachable: 'failed',
};

/** In the words of a run, for who follows the events. */
function resultOf(tenant: Tenant, look: PlanLook, attempts: number): TenantResult {
  return {
    tenant: refOf(tenant),
    outcome: OUTCOME[outcomeOf(look)],
    from: null,
    to: null,
    applied: [],
    pending: 'plan' in look ? look.plan.pending.map(({ name }) => name) : [],
    durationMs: 0,
    attempts,
    notices: [],
    ...('error' in look ? { error: reportFor(look.error, tenant) } : {}),
    ...('reason' in look ? { reason: look.reason } : {}),
  };
}
