import { tenantProblem } from '../../central/problem.ts';
import type { Tenant } from '../../central/tenant.ts';
import type { Config } from '../../config/define.ts';
import { inspect } from '../../migration/inspect.ts';
import { attemptUp } from '../../migration/migrate.ts';
import { refused } from '../../migration/work.ts';
import { tenantSet } from '../../tenant/folder.ts';
import { behindCore } from '../behind.ts';
import { type FleetFiles, limitedTo, readFleetFiles } from '../files.ts';
import type { RunReport } from '../report.ts';
import { type Preflight, type RunContext, type RunOptions, conductRun } from '../run.ts';
import { type Selection, requireForceByName, requireSelection } from '../select.ts';
import { type Survey, sweep } from '../sweep.ts';
import { type Tried, asFirst, resultOf, triedBy, trialOf } from '../tried.ts';
import { inactiveReason, type Past, type TenantWork, workOn } from '../work.ts';

export interface UpOptions extends RunOptions {
  /** Go no further than this migration: a name or a version. */
  to?: string;
  /** Go past all that would hold a tenant back; only with tenants selected by name. */
  force?: boolean;
  /** Apply late what is older than what is applied; by default as `outOfOrder` in the configuration says. */
  outOfOrder?: boolean;
  /** Migrate also who is on hold. */
  includeHeld?: boolean;
  /** Go on beside applied files that were changed, or are missing; the difference stays reported. */
  acceptChanged?: boolean;
  /** Connect to nobody whose head stamp says that nothing is pending; a stale stamp is believed (engine 30). */
  fast?: boolean;
  /** Look at all of them first; when one would fail or be refused, none is migrated (engine 23). */
  strict?: boolean;
}

/**
 * Applies what is pending to every selected tenant. Throws only for what stops it before the first of them:
 * selection, files (engine 22), central database; what happens to tenants is in the report.
 */
export async function up(config: Config, selection: Selection, options: UpOptions = {}): Promise<RunReport> {
  const { to, force, outOfOrder, includeHeld, acceptChanged, strict, fast, ...runOptions } = options;
  const past = { force, outOfOrder, includeHeld, acceptChanged };
  requireSelection(selection);
  requireForceByName(selection, force);
  const files = await readFleetFiles(config, to);
  return conductRun(
    config,
    {
      verb: 'up',
      takesBehind: true,
      tellsBehind: true,
      selection,
      inWaves: true,
      pastHold: force === true || includeHeld === true,
      attempt: (tenant, context, before) =>
        workOn(tenant, context, { files, ...past, before }, async ({ target, migrations, options: how }) => {
          const { migrations: set, ...limit } = limitedTo(migrations, files.to);
          return triedBy(await attemptUp(target, { migrations: set }, { ...how, ...limit }));
        }),
      known: fast ? (tenant, context) => stampedCurrent(tenant, context, files) : undefined,
      ...(strict
        ? { preflight: (context, tenants) => lookFirst(context, tenants, files, runOptions, past) }
        : {}),
    },
    runOptions,
  );
}

/** A tenant whose stamp says that nothing is pending (engine 30); what is wrong with others, an attempt finds out. */
async function stampedCurrent(
  tenant: Tenant,
  { config, views }: RunContext,
  files: FleetFiles,
): Promise<Tried | undefined> {
  if (inactiveReason(tenant) || tenantProblem(tenant, config)) return undefined;
  try {
    const { migrations, lacksCore } = await tenantSet(tenant, files.core, config, files.cache);
    const { migrations: set, ...limit } = limitedTo(migrations, files.to);
    const standing = await views.standing(tenant, set, limit);
    if (typeof standing === 'string' || standing.plan.pending.length > 0) return undefined;
    const { head } = standing.plan;
    const nothing = { applied: [], pending: [], notices: [], retryable: false };
    return {
      outcome: 'current',
      from: head,
      to: head,
      lacksCore: behindCore(config, lacksCore, files.to),
      ...nothing,
    };
  } catch {
    return undefined;
  }
}

/** Looks at every tenant; those that stand in the way are reported, and none is migrated then. */
async function lookFirst(
  context: RunContext,
  tenants: Survey,
  files: FleetFiles,
  options: RunOptions,
  past: Past,
): Promise<Preflight | undefined> {
  const reported = new Set<string>();
  await sweep<Tried>(
    context.central,
    tenants,
    // Looked at are all of them, whatever is found.
    { concurrency: options.concurrency, signal: options.signal, views: context.views },
    {
      attempt: async (tenant) => trialOf(await workOn(tenant, context, { files, ...past }, look)),
      onRetry: () => undefined,
      onSettled: (tenant, { value, failed }, attempts) => {
        if (!failed) return undefined;
        reported.add(tenant.id);
        return context.settle(resultOf(tenant, value, { attempts, durationMs: 0 }));
      },
      onGivenUp: (tenant, { tenant: first, trial }) => trialOf(asFirst(trial.value, first, tenant)),
      onNotTried: () => undefined,
    },
  );
  if (!reported.size) return undefined;
  return { reported, reason: `--strict: ${reported.size} of ${tenants.total} cannot be migrated` };

  async function look({ target, migrations, options: how }: TenantWork): Promise<Tried> {
    const { migrations: set, ...limit } = limitedTo(migrations, files.to);
    const { plan } = await inspect(target, { migrations: set }, { ...how, ...limit });
    const { head, refusals, notices } = plan;
    const looked = {
      from: head,
      to: head,
      applied: [],
      pending: plan.pending.map(({ name }) => name),
      notices,
    };
    if (!refusals.length) return { ...looked, outcome: 'current', retryable: false };
    return { ...looked, outcome: 'refused', error: refused(refusals), retryable: false };
  }
}
