import type { Config } from '../../config/define.ts';
import { REFUSED } from '../../errors.ts';
import { inspect } from '../../engine/history/lost.ts';
import { type Impact, readImpact } from '../../engine/impact/impact.ts';
import type { Plan } from '../../engine/plan.ts';
import type { Connection } from '../../postgres/connection.ts';
import { attemptOf, refOf, type TenantAttempt } from '../attempt.ts';
import type { OnEvent } from '../events.ts';
import { readFleetFiles } from '../files.ts';
import type { PlanOutcome, PlanReport } from '../report/plan-report.ts';
import { Impacts } from '../report/impacts.ts';
import { Plans, type ShownPlan } from '../report/plans.ts';
import type { TenantResult } from '../report/report.ts';
import { type Selection, requireForceByName, requireSelection } from '../select.ts';
import type { SweepOptions } from '../schedule/sweep.ts';
import { lanesAt } from '../schedule/lanes-at.ts';
import { passing, type Visit } from '../visit.ts';
import { walk } from '../walk.ts';

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
  /** What `up --phase contract` would do, were it let. */
  phase?: 'contract';
  /** Also what would be sent. */
  sql?: boolean;
  /** Also which tables are locked, rewritten, or read, and how large they are there. */
  impact?: boolean;
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
  {
    sql = false,
    impact = false,
    to,
    force,
    outOfOrder,
    includeHeld,
    acceptChanged,
    phase,
    ...options
  }: PlanOptions = {},
): Promise<PlanReport> {
  requireSelection(selection);
  requireForceByName(selection, force);
  const files = await readFleetFiles(config, to);
  const past = { force, outOfOrder, includeHeld, acceptChanged, phase };
  const plans = new Plans(config.migrations.order);
  const impacts = impact ? new Impacts(config.migrations.order) : undefined;
  let notLooked = 0;
  const gather = (result: TenantResult, { detail: found, lacksCore }: TenantAttempt<ShownPlan>): void => {
    const outcome = outcomeOf(result);
    if (result.attempts === 0 && outcome === 'skipped') notLooked += 1;
    // Only those with something to do were selected.
    else if (selection.behind && outcome === 'current' && !lacksCore) return;
    else plans.add(result, found, outcome);
  };
  const report = await walk(
    config,
    {
      name: 'plan',
      selection,
      files,
      past,
      failedOf: 'up',
      recorded: false,
      takesBehind: true,
      tellsBehind: true,
      passes: (tenant) => passing(tenant, past),
      visit: async (visit) => {
        if (!impacts) return inspectTenant(visit);
        let found: Impact | undefined;
        const attempt = await inspectTenant(visit, async (connection, { pending }) => {
          if (pending.length) found = await readImpact(connection, pending);
        });
        const { context, tenant } = visit;
        if (found)
          impacts.add(refOf(tenant), found, await lanesAt(context, tenant.server, options.concurrency));
        return attempt;
      },
      gather,
    },
    options,
  );
  const { toolVersion, startedAt, durationMs, interrupted, foldersBehind, behindCore, unmet, error } = report;
  return {
    verb: 'plan',
    selection: report.selection,
    toolVersion,
    startedAt,
    durationMs,
    interrupted,
    layout: files.core.layout,
    counts: plans.counts,
    groups: plans.groups(),
    migrations: plans.migrations({ sql }),
    ...(impacts ? { impact: impacts.report() } : {}),
    foldersBehind,
    ...(behindCore ? { behindCore } : {}),
    ...(unmet === undefined ? {} : { unmet }),
    notices: [...plans.notices, ...(notLooked ? [`${notLooked} were not looked at`] : [])],
    ...(error ? { error } : {}),
  };
}

async function inspectTenant(
  { target, migrations, options }: Visit,
  also?: (connection: Connection, plan: Plan) => Promise<void>,
): Promise<TenantAttempt<ShownPlan>> {
  const { plan: found } = await inspect(target, { migrations }, { ...options, ...(also && { also }) });
  const pending = found.pending.map(({ name }) => name);
  const outcome = found.refusals.length ? 'refused' : pending.length ? 'pending' : 'current';
  return { ...attemptOf({ outcome, pending }), detail: found };
}

function outcomeOf({ outcome, error }: TenantResult): PlanOutcome {
  if (error) return REFUSED.includes(error.code) ? 'refused' : 'unreachable';
  return outcome === 'skipped' || outcome === 'refused' || outcome === 'pending' ? outcome : 'current';
}
