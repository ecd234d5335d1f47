import { tenantProblem } from '../central/problem.ts';
import type { Tenant } from '../central/tenant.ts';
import type { Config } from '../config/define.ts';
import type { MigrateOptions } from '../migration/migrate.ts';
import type { Migration } from '../migration/migration.ts';
import type { Admit } from '../migration/unit.ts';
import type { DatabaseTarget } from '../postgres/connect.ts';
import { TOOL_VERSION } from '../version.ts';
import { tenantSet } from '../tenant/folder.ts';
import { directUrlOf } from '../tenant/server.ts';
import { behindCore } from './behind.ts';
import type { FleetFiles } from './files.ts';
import { onCurrentRow } from './row.ts';
import type { RunContext } from './run.ts';
import { type Tried, failedBy, refOf, skipped } from './tried.ts';

/** A tenant that can be worked on: where it is, what its files say, how it is done. */
export interface TenantWork {
  target: DatabaseTarget;
  migrations: readonly Migration[];
  options: MigrateOptions;
  /** How many core migrations its own folder lacks. */
  lacksCore: number;
  /** What `--force` went past. */
  notices: string[];
}

/** What a run goes past that would hold a tenant back. */
export interface Past {
  /** All of it, of tenants that are selected by name. */
  force?: boolean | undefined;
  /** Migrations older than what is applied; by default as the configuration says. */
  outOfOrder?: boolean | undefined;
  /** That it is on hold. */
  includeHeld?: boolean | undefined;
  /** Applied files that were changed, or are missing. */
  acceptChanged?: boolean | undefined;
}

export interface WorkOptions extends Past {
  files: FleetFiles;
  /** What an earlier attempt came to. */
  before?: Tried | undefined;
  /** As what it is worked on: with a plugin that its row does not name yet, or not any more. */
  as?: ((row: Tenant) => Tenant) | undefined;
}

/**
 * Works on a tenant, unless what is known without a connection ends its run before (engine 22); by its row as it is
 * when it is written to (fleet 34).
 * @param work is given what earlier attempts came to
 */
export function workOn(
  tenant: Tenant,
  context: RunContext,
  options: WorkOptions,
  work: (work: TenantWork, before: Tried | undefined) => Promise<Tried>,
): Promise<Tried> {
  return onCurrentRow(
    context.central,
    tenant,
    options.before,
    (row, admit, before) =>
      workOnce(row, context, { ...options, admit }, (prepared) => work(prepared, before)),
    options.as,
  );
}

/** A row with this plugin. */
export function withPlugin(name: string): (row: Tenant) => Tenant {
  return (row) => ({ ...row, plugins: [...new Set([...(row.plugins ?? []), name])].sort() });
}

async function workOnce(
  tenant: Tenant,
  context: RunContext,
  options: WorkOptions & { admit: Admit },
  work: (work: TenantWork) => Promise<Tried>,
): Promise<Tried> {
  const inactive = inactiveReason(tenant);
  const flag = inactive === undefined ? undefined : passing(tenant, options);
  if (inactive !== undefined && !flag) return skipped(inactive);
  const problem = tenantProblem(tenant, context.config);
  if (problem) return failedBy(problem);
  try {
    const prepared = await prepare(tenant, context, options);
    if (flag) prepared.notices.push(`${flag}: went past "${inactive}"`);
    const tried = await work(prepared);
    return { ...tried, lacksCore: prepared.lacksCore, notices: [...prepared.notices, ...tried.notices] };
  } catch (error) {
    return failedBy(error);
  }
}

/** The flag that goes past a tenant's status; undefined when none does. */
export function passing(
  { status }: Pick<Tenant, 'status'>,
  { force, includeHeld }: Past,
): string | undefined {
  if (includeHeld && status === 'hold') return '--include-held';
  return force ? '--force' : undefined;
}

/** The engine's part of what is gone past. */
export function pastInPlan(config: Config, { force, outOfOrder, acceptChanged }: Past) {
  return {
    force: force ?? false,
    outOfOrder: outOfOrder || config.outOfOrder === 'apply',
    acceptChanged: acceptChanged ?? false,
  };
}

async function prepare(
  tenant: Tenant,
  { config, run, signal, cancel, views, modules, tell }: RunContext,
  { files, admit, ...past }: WorkOptions & { admit: Admit },
): Promise<TenantWork> {
  const { migrations, lacksCore } = await tenantSet(tenant, files.core, config, files.cache);
  const ref = refOf(tenant);
  return {
    target: targetOf(tenant, config, run),
    migrations,
    lacksCore: behindCore(config, lacksCore, files.to),
    notices: [],
    options: {
      history: config.history,
      pace: config.pace,
      run,
      actor: config.actor,
      toolVersion: TOOL_VERSION,
      leave: true,
      premises: (maxAge) => views.premises(tenant, maxAge),
      ...pastInPlan(config, past),
      modules,
      admit,
      signal,
      cancel,
      onMigration: (step) => tell({ type: 'migration-started', tenant: ref, ...step }),
      onWaiting: (reason) => tell({ type: 'tenant-waiting', tenant: ref, reason }),
    },
  };
}

/** Where a tenant's database is; named for the run and the tenant (engine 29). */
export function targetOf(tenant: Tenant, config: Config, run: string): DatabaseTarget {
  return {
    url: directUrlOf(config, tenant.server),
    database: tenant.database,
    tenant,
    applicationName: `mpm-migrate/${run}/${tenant.id}`,
    connectTimeout: config.pace.connectTimeout,
  };
}

const REASONS: Record<string, string> = {
  hold: 'on hold',
  provisioning: 'half-provisioned; go on with: mpm-migrate tenant create --resume ID',
  failed: 'half-provisioned; go on with: mpm-migrate tenant create --resume ID',
};

/** Why `up` passes a tenant by; undefined when it does not. */
export function inactiveReason({ status, reason }: Tenant): string | undefined {
  if (status === 'active') return undefined;
  const why = REASONS[status] ?? `not active (${status})`;
  return status === 'hold' && reason ? `${why}: ${reason}` : why;
}
