import { tenantProblem } from '../central/list/problem.ts';
import type { Tenant } from '../central/list/tenant.ts';
import type { Config } from '../config/define.ts';
import type { MigrateOptions } from '../engine/apply/migrate.ts';
import type { Migration } from '../engine/migration.ts';
import type { DatabaseTarget } from '../postgres/connect.ts';
import { tenantSet } from '../tenants/folders/folder.ts';
import { directUrlOf } from '../tenants/server.ts';
import { TOOL_VERSION } from '../version.ts';
import { type TenantAttempt, failedBy, refOf, skipped, withoutInterruption } from './attempt.ts';
import { behindCore } from './report/collect.ts';
import { type FleetFiles, limitedTo } from './files.ts';
import { onCurrentRow } from './row.ts';
import type { WalkContext } from './context.ts';

/** A tenant that a verb is at: its row, where its database is, what its files say, how it is worked on. */
export interface Visit<D = unknown> {
  tenant: Tenant;
  target: DatabaseTarget;
  /** What its files hold; empty where the verb reads none. */
  migrations: readonly Migration[];
  options: MigrateOptions;
  context: WalkContext;
  /** What earlier attempts came to. */
  before: TenantAttempt<D> | undefined;
  /** To be said in the report, though it is no error. */
  notice(text: string): void;
}

/** What a verb does at one tenant. */
export interface TenantVerb<D = unknown> {
  visit(visit: Visit<D>): Promise<TenantAttempt<D>>;
  /** What core holds; absent: the verb looks at no migrations. */
  files?: FleetFiles | undefined;
  /** What the plan goes past. */
  past?: Past | undefined;
  /** The flag, if any, by which it goes past a tenant's status; `true` where that needs no word. */
  passes?: ((tenant: Pick<Tenant, 'status'>) => string | true | undefined) | undefined;
  /** As what a row is worked on: with a plugin that it does not name yet, or not any more. */
  as?: ((row: Tenant) => Tenant) | undefined;
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
  /** That it is deferred. */
  phase?: 'contract' | undefined;
}

/**
 * One attempt of a verb at a tenant, by its row as it is when it is written to (fleet 34). What is known without a
 * connection ends it before (engine 22). Never rejects.
 * @param before what earlier attempts came to
 */
export function visit<D>(
  tenant: Tenant,
  context: WalkContext,
  work: TenantVerb<D>,
  before?: TenantAttempt<D>,
): Promise<TenantAttempt<D>> {
  return onCurrentRow(
    context.central,
    tenant,
    before,
    async (row, admit, earlier) => {
      const inactive = inactiveReason(row);
      const flag = inactive === undefined ? true : work.passes?.(row);
      if (inactive !== undefined && flag === undefined) return skipped(inactive);
      const problem = tenantProblem(row, context.config);
      if (problem) return failedBy(problem);
      const notices: string[] = typeof flag === 'string' ? [`${flag}: went past "${inactive}"`] : [];
      try {
        const { files } = work;
        const set = files && (await tenantSet(row, files.core, context.config, files.cache));
        const limited = limitedTo(set?.migrations ?? [], files?.to, context.config.migrations.order);
        const { migrations, ...limit } = limited;
        const attempt = await work.visit({
          tenant: row,
          target: targetOf(row, context.config, context.run),
          migrations,
          options: {
            ...optionsFor(row, context, work.past ?? {}),
            ...limit,
            admit,
            rider: context.tools?.riderOf(row, set?.migrations ?? []),
          },
          context,
          before: earlier,
          notice: (text) => void notices.push(text),
        });
        const lacks = set?.ownFolder
          ? { lacksCore: behindCore(context.config, set.lacksCore, files?.to) }
          : {};
        return withoutInterruption({ ...lacks, ...attempt, notices: [...notices, ...attempt.notices] });
      } catch (error) {
        return failedBy(error);
      }
    },
    work.as,
  );
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
function pastInPlan(config: Config, { force, outOfOrder, acceptChanged, phase }: Past) {
  return {
    force: force ?? false,
    outOfOrder: outOfOrder || config.outOfOrder === 'apply',
    acceptChanged: acceptChanged ?? false,
    phase,
    released: config.released,
  };
}

function optionsFor(
  tenant: Tenant,
  { config, run, signal, cancel, views, modules, tell }: WalkContext,
  past: Past,
): MigrateOptions {
  const ref = refOf(tenant);
  return {
    history: config.history,
    order: config.migrations.order,
    pace: config.pace,
    run,
    actor: config.actor,
    toolVersion: TOOL_VERSION,
    leave: true,
    stampInput: (maxAge) => views.stampInput(tenant, maxAge),
    ...pastInPlan(config, past),
    modules,
    signal,
    cancel,
    onMigration: (step) => tell({ type: 'migration-started', tenant: ref, ...step }),
    onWaiting: (reason) => tell({ type: 'tenant-waiting', tenant: ref, reason }),
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
  provisioning: 'creation not finished; to continue: mpm-migrate tenant create --resume ID',
  failed: 'creation not finished; to continue: mpm-migrate tenant create --resume ID',
};

/** Why `up` passes a tenant by; undefined when it does not. */
export function inactiveReason({ status, reason }: Tenant): string | undefined {
  if (status === 'active') return undefined;
  const why = REASONS[status] ?? `not active (${status})`;
  return status === 'hold' && reason ? `${why}: ${reason}` : why;
}
