import { tenantProblem } from '../../central/list/problem.ts';
import type { Tenant } from '../../central/list/tenant.ts';
import type { Config } from '../../config/define.ts';
import { inspect } from '../../engine/history/lost.ts';
import { attemptUp } from '../../engine/apply/migrate.ts';
import { refused } from '../../engine/apply/attempt.ts';
import { tenantSet } from '../../tenants/folders/folder.ts';
import { attemptOf, resultOf, type TenantAttempt } from '../attempt.ts';
import { behindCore } from '../report/collect.ts';
import type { WalkContext } from '../context.ts';
import { type FleetFiles, limitedTo, readFleetFiles } from '../files.ts';
import { isFailure, type RunReport } from '../report/report.ts';
import { releaseContract, requireExpanded } from '../phase.ts';
import { type Selection, requireForceByName, requireSelection } from '../select.ts';
import { sweep } from '../schedule/sweep.ts';
import { inactiveReason, passing, type Visit, visit, type TenantVerb } from '../visit.ts';
import { type Preflight, type RunOptions, walk } from '../walk.ts';

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
  /** `contract`: also what is deferred, once every tenant of the fleet has what comes before it. */
  phase?: 'contract';
}

/**
 * Applies what is pending to every selected tenant. Throws only for what stops it before the first of them:
 * selection, files (engine 22), central database, CONTRACT_REFUSED and CONTRACT_UNCHECKED; what happens to tenants is
 * in the report.
 */
export async function up(config: Config, selection: Selection, options: UpOptions = {}): Promise<RunReport> {
  const { to, force, outOfOrder, includeHeld, acceptChanged, phase, strict, fast, ...runOptions } = options;
  const past = { force, outOfOrder, includeHeld, acceptChanged, phase };
  requireSelection(selection);
  requireForceByName(selection, force);
  const files = await readFleetFiles(config, to);
  const work: TenantVerb = { files, past, passes: (tenant) => passing(tenant, past), visit: migrate };
  const notices = phase ? await requireExpanded(config, files, runOptions.signal) : [];
  const report = await walk(
    config,
    {
      ...work,
      name: 'up',
      selection,
      takesBehind: true,
      tellsBehind: true,
      tellsTools: true,
      inWaves: true,
      longestFirst: true,
      known: fast ? (tenant, context) => stampedCurrent(tenant, context, files, phase) : undefined,
      preflight: strict ? (context) => inspectFirst(context, work, runOptions) : undefined,
    },
    runOptions,
  );
  if (!phase) return report;
  await releaseContract(config, files, selection, report);
  return { ...report, notices: [...report.notices, ...notices] };
}

function migrate({ target, migrations, options }: Visit): Promise<TenantAttempt> {
  return attemptUp(target, { migrations }, options);
}

/** A tenant whose stamp says that nothing is pending (engine 30); what is wrong with others, an attempt finds out. */
async function stampedCurrent(
  tenant: Tenant,
  { config, views }: WalkContext,
  files: FleetFiles,
  phase: 'contract' | undefined,
): Promise<TenantAttempt | undefined> {
  if (inactiveReason(tenant) || tenantProblem(tenant, config)) return undefined;
  try {
    const { migrations, ownFolder, lacksCore } = await tenantSet(tenant, files.core, config, files.cache);
    const { migrations: set, ...limit } = limitedTo(migrations, files.to, config.migrations.order);
    const stamped = await views.state(tenant, set, { ...limit, phase, released: config.released });
    if (typeof stamped === 'string' || stamped.plan.pending.length > 0) return undefined;
    const { head } = stamped.plan;
    const lacks = ownFolder ? { lacksCore: behindCore(config, lacksCore, files.to) } : {};
    return attemptOf({ outcome: 'current', from: head, to: head, ...lacks });
  } catch {
    return undefined;
  }
}

/** Looks at every tenant; those that stand in the way are reported, and none is migrated then. */
async function inspectFirst(
  context: WalkContext,
  work: TenantVerb,
  { concurrency, signal }: RunOptions,
): Promise<Preflight | undefined> {
  const { central, tenants, views } = context;
  const reported = new Set<string>();
  // Looked at are all of them, whatever is found.
  await sweep(
    central,
    tenants,
    { concurrency, signal, views },
    {
      attempt: (tenant) => visit(tenant, context, { ...work, visit: inspectTenant }),
      onRetry: () => undefined,
      onEnd: (tenant, attempt, attempts) => {
        if (!isFailure(attempt.outcome)) return undefined;
        reported.add(tenant.id);
        return context.finish(resultOf(tenant, attempt, attempts));
      },
      onNotTried: () => undefined,
    },
  );
  if (!reported.size) return undefined;
  return { reported, reason: `--strict: ${reported.size} of ${tenants.total} cannot be migrated` };
}

async function inspectTenant({ target, migrations, options }: Visit): Promise<TenantAttempt> {
  const { plan } = await inspect(target, { migrations }, options);
  const { head, refusals, notices } = plan;
  const pending = plan.pending.map(({ name }) => name);
  const looked = { from: head, to: head, pending, notices };
  if (!refusals.length) return attemptOf({ ...looked, outcome: 'current' });
  return { ...attemptOf({ ...looked, outcome: 'refused' }), error: refused(refusals) };
}
