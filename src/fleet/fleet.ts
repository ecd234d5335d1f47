import type { Kysely } from 'kysely';
import { tenantWord } from '../argument.ts';
import type { Tenant } from '../central/list/tenant.ts';
import type { Config } from '../config/define.ts';
import { MpmError } from '../errors.ts';
import type { PoolStats } from '../sessions/pool-choice.ts';
import { type Session, type SessionOptions, Sessions, type TenantId } from '../sessions/sessions.ts';
import { type AdoptInput, adopt as adoptDatabase } from '../tenants/adopt.ts';
import { type ChangeOptions, hold, label, release, rename, type TenantChange } from '../tenants/change.ts';
import { clone, type CloneInput } from '../tenants/clone.ts';
import type { ProvisionOptions, ProvisionReport } from '../tenants/create/creation.ts';
import { ConnectionCache } from '../tenants/create/connections.ts';
import { drainPool, fillPool, type PoolReport, type PoolStatus, poolStatus } from '../tenants/create/pool.ts';
import {
  type ProvisionInput,
  provision as provisionTenant,
  resumeProvision as resumeTenant,
} from '../tenants/create/provision.ts';
import { drop, type DropOptions } from '../tenants/drop.ts';
import { move, type MoveInput } from '../tenants/move/move.ts';
import { type DoctorReport, doctor } from './doctor/doctor.ts';
import { type OnEvent, guardEvents } from './events.ts';
import type { AdoptReport } from './report/adopt-report.ts';
import type { CheckReport } from './report/check-report.ts';
import type { LintReport } from './report/lint-report.ts';
import type { EditReport } from './report/edit-report.ts';
import type { GateReport } from './report/gate-report.ts';
import type { PlanReport } from './report/plan-report.ts';
import type { RehearseReport } from './report/rehearse-report.ts';
import type { RunReport } from './report/report.ts';
import type { SnapshotReport } from './report/snapshot-report.ts';
import type { StatusReport } from './report/status-report.ts';
import type { VerifyReport } from './report/verify-report.ts';
import type { Selection } from './select.ts';
import { type AdoptTenantsInput, type AdoptTenantsOptions, adoptTenants } from './verbs/adopt.ts';
import { type BaselineOptions, baseline } from './verbs/baseline.ts';
import { type DownOptions, down } from './verbs/down.ts';
import { type ExecOptions, type ExecReport, exec } from './verbs/exec.ts';
import { type FreshOptions, fresh } from './verbs/fresh.ts';
import { type PlanOptions, plan } from './verbs/plan.ts';
import { gate, type GateOptions } from './verbs/gate.ts';
import { check, type CheckOptions } from './verbs/check.ts';
import { lint, type LintOptions } from './verbs/lint.ts';
import { installPlugin } from './verbs/plugin-install.ts';
import { type AddedPlugin, listPlugins, makeInstallable, type PluginList } from './verbs/plugin-list.ts';
import { type UninstallOptions, uninstallPlugin } from './verbs/plugin-uninstall.ts';
import { type RehearseOptions, rehearse } from './verbs/rehearse.ts';
import { type RepairOptions, repair } from './verbs/repair.ts';
import { type ResolveOptions, resolve as resolveMigration } from './verbs/resolve.ts';
import { type SnapshotOptions, snapshot } from './verbs/snapshot.ts';
import { type StatusOptions, status } from './verbs/status.ts';
import { type UpOptions, up } from './verbs/up.ts';
import { type VerifyOptions, verify } from './verbs/verify.ts';
import type { RunOptions } from './walk.ts';

/**
 * A fleet of tenants, as the library offers it: what the commands do, with the same defaults. Nothing here
 * prints, reads the environment or ends the process.
 */
export class Fleet implements AsyncDisposable {
  readonly #config: Config;
  readonly #sessions: Sessions;
  readonly #idle: ConnectionCache;
  readonly #closing = new AbortController();
  readonly #running = new Set<Promise<unknown>>();

  constructor(config: Config) {
    this.#config = config;
    this.#sessions = new Sessions(config);
    this.#idle = new ConnectionCache(config.sessions.idleTimeout);
  }

  /**
   * A tenant's database, for queries. Connects with the first of them, and borrows a connection for each query
   * or transaction; so it may be kept, and need not be destroyed.
   *
   * @param id the tenant's id, as the central database has it
   * @throws MpmError UNKNOWN_TENANT, TENANT_SUSPENDED, TENANT_NOT_READY, TENANT_BEHIND; FLEET_CLOSED. Its queries
   * throw these too, and SESSION_TIMEOUT when no connection comes free; DATABASE_MISSING, CONNECTION, PASSWORD
   */
  connect<DB>(id: TenantId, options: SessionOptions = {}): Promise<Kysely<DB>> {
    return this.#sessions.connect<DB>(id, options);
  }

  /**
   * The tenant to which a user belongs. Whether it may be used, {@link connect} and {@link run} say.
   * @throws MpmError UNKNOWN_USER, UNKNOWN_TENANT
   */
  resolve(user: { email: string }): Promise<Tenant> {
    return this.#sessions.resolve(user);
  }

  /**
   * Makes a tenant current for everything that `work` calls and awaits. Throws as {@link connect}, and what
   * `work` throws.
   */
  run<DB, T>(
    id: TenantId,
    work: (session: Session<DB>) => Promise<T> | T,
    options: SessionOptions = {},
  ): Promise<T> {
    return this.#sessions.run(id, work, options);
  }

  /**
   * The current tenant, and its database.
   * @throws MpmError NO_CURRENT_TENANT outside of {@link run}
   */
  current<DB>(): Session<DB> {
    return this.#sessions.current<DB>();
  }

  /** The connections of sessions, as they are now. */
  stats(): PoolStats {
    return this.#sessions.stats();
  }

  /** Applies what is pending. What happens to tenants is in the report; throws only before the first of them. */
  up(selection: Selection, options: UpOptions = {}): Promise<RunReport> {
    return this.#run(options, (rest) => up(this.#config, selection, rest));
  }

  /** Takes back what was applied last. Throws as {@link up}. */
  down(selection: Selection, options: DownOptions = {}): Promise<RunReport> {
    return this.#run(options, (rest) => down(this.#config, selection, rest));
  }

  /** Runs SQL, read-only unless `write`; a tenant's rows come whole or not at all. Throws as {@link up}. */
  exec(selection: Selection, sql: string, options: ExecOptions = {}): Promise<ExecReport> {
    return this.#run(options, (rest) => exec(this.#config, selection, sql, rest));
  }

  /** Where tenants stand; reads only. Throws as {@link up}. */
  status(selection: Selection, options: StatusOptions = {}): Promise<StatusReport> {
    return this.#run(options, (rest) => status(this.#config, selection, rest));
  }

  /**
   * Whether each tenant's schema is what the migrations in its history make; writes nothing to a tenant. Throws as
   * {@link up}.
   */
  verify(selection: Selection, options: VerifyOptions = {}): Promise<VerifyReport> {
    return this.#run(options, (rest) => verify(this.#config, selection, rest));
  }

  /** Whether all tenants that {@link up} takes have a migration; reads only. Throws as {@link up}; USAGE when no file has it. */
  gate(selection: Selection, options: GateOptions): Promise<GateReport> {
    return this.#run(options, (rest) => gate(this.#config, selection, rest));
  }

  /**
   * Runs what is pending on every tenant, and rolls it back: who would fail, what is locked and for how long. Nothing
   * stays of it. Throws as {@link up}.
   */
  rehearse(selection: Selection, options: RehearseOptions = {}): Promise<RehearseReport> {
    return this.#run(options, (rest) => rehearse(this.#config, selection, rest));
  }

  /** What {@link up} would do, tenants with equal plans together; reads only. Throws as {@link up}. */
  plan(selection: Selection, options: PlanOptions = {}): Promise<PlanReport> {
    return this.#run(options, (rest) => plan(this.#config, selection, rest));
  }

  /** Makes histories agree with the files again; only shows what it would change without `write`. Throws as {@link up}. */
  repair(selection: Selection, options: RepairOptions): Promise<EditReport> {
    return this.#run(options, (rest) => repair(this.#config, selection, rest));
  }

  /** Records migrations as applied that were there before; only shows them without `write`. Throws as {@link up}. */
  baseline(selection: Selection, options: BaselineOptions): Promise<EditReport> {
    return this.#run(options, (rest) => baseline(this.#config, selection, rest));
  }

  /**
   * Writes a tenant's schema into the core folder, so that new tenants come from it; only shows it without `write`.
   * @throws MpmError UNKNOWN_TENANT; USAGE when its history isn't core's, or for pg_dump; PROVISION_FAILED
   */
  snapshot(tenant: TenantId, options: SnapshotOptions = {}): Promise<SnapshotReport> {
    return this.#run(options, (rest) => snapshot(this.#config, tenantWord(tenant), rest));
  }

  /**
   * Ends the state of a migration that failed half-way in one tenant: says what became of it, or resumes it.
   * @throws MpmError UNKNOWN_TENANT; USAGE when it is neither failed nor interrupted there
   */
  resolveMigration(name: string, options: ResolveOptions): Promise<EditReport | RunReport> {
    return this.#run(options, (rest) => resolveMigration(this.#config, name, rest));
  }

  /**
   * Destroys one tenant's database and makes it again, migrated and empty.
   * @throws MpmError CONFIRMATION unless `confirm` is its database's name, DATABASE_IN_USE, TENANT_STATUS, BUSY;
   *   PROVISION_FAILED with what to go on with
   */
  fresh(tenant: TenantId, options: FreshOptions): Promise<ProvisionReport> {
    return this.#run(options, (rest) => fresh(this.#config, tenantWord(tenant), rest));
  }

  /**
   * Creates a tenant with its database, migrated.
   * @throws MpmError PROVISION_FAILED with what this call made undone, and others before anything is made
   */
  provision(input: ProvisionInput, options: ProvisionOptions = {}): Promise<ProvisionReport> {
    return this.#run(options, (rest) => provisionTenant(this.#config, input, rest, this.#idle));
  }

  /** Goes on with a creation that failed half-way, by the tenant's id. Throws as {@link provision}. */
  resumeProvision(id: TenantId, options: ProvisionOptions = {}): Promise<ProvisionReport> {
    return this.#run(options, (rest) => resumeTenant(this.#config, tenantWord(id), rest));
  }

  /** Registers a database that exists. @throws MpmError DATABASE_MISSING, DATABASE_EXISTS, TENANT_EXISTS, … */
  adopt(input: AdoptInput, options: ChangeOptions = {}): Promise<TenantChange> {
    return this.#run(options, (rest) => adoptDatabase(this.#config, input, rest));
  }

  /**
   * Registers many databases that exist; only shows what it would do without `write`.
   * @throws MpmError USAGE, UNKNOWN_SERVER; as {@link up} for files
   */
  adoptTenants(input: AdoptTenantsInput, options: AdoptTenantsOptions = {}): Promise<AdoptReport> {
    return this.#run(options, (rest) => adoptTenants(this.#config, input, rest));
  }

  /** Creates a tenant with a copy of another one's database. Throws as {@link provision}, and DATABASE_IN_USE. */
  clone(tenant: TenantId, input: CloneInput, options: ProvisionOptions = {}): Promise<ProvisionReport> {
    return this.#run(options, (rest) => clone(this.#config, tenantWord(tenant), input, rest, this.#idle));
  }

  /** `up` passes the tenant by, and sessions refuse it. @throws MpmError UNKNOWN_TENANT, TENANT_STATUS, BUSY */
  hold(tenant: TenantId, options: { reason: string } & ChangeOptions): Promise<TenantChange> {
    return this.#run(options, (rest) => hold(this.#config, tenantWord(tenant), rest));
  }

  /** Ends a {@link hold}. */
  release(tenant: TenantId, options: ChangeOptions = {}): Promise<TenantChange> {
    return this.#run(options, (rest) => release(this.#config, tenantWord(tenant), rest));
  }

  /** Renames the company; its database keeps its name. @throws MpmError TENANT_EXISTS, UNKNOWN_TENANT */
  rename(tenant: TenantId, name: string, options: ChangeOptions = {}): Promise<TenantChange> {
    return this.#run(options, (rest) => rename(this.#config, tenantWord(tenant), name, rest));
  }

  /** Sets labels; null removes one. */
  label(
    tenant: TenantId,
    labels: Readonly<Record<string, string | null>>,
    options: ChangeOptions = {},
  ): Promise<TenantChange> {
    return this.#run(options, (rest) => label(this.#config, tenantWord(tenant), labels, rest));
  }

  /** Points the tenant's row to where its database was moved. @throws MpmError WRONG_DATABASE when that is not its copy */
  move(tenant: TenantId, input: MoveInput): Promise<TenantChange> {
    return this.#run(input, (rest) => move(this.#config, tenantWord(tenant), rest));
  }

  /** Drops the tenant's database and its row. @throws MpmError CONFIRMATION, DATABASE_IN_USE, BUSY */
  drop(tenant: TenantId, options: DropOptions): Promise<TenantChange> {
    return this.#run(options, (rest) => drop(this.#config, tenantWord(tenant), rest));
  }

  /** Makes finished databases until so many are ready for {@link provision}. @throws MpmError BUSY, UNKNOWN_SERVER */
  fillPool(
    input: { size: number; server?: string },
    options: { signal?: AbortSignal } = {},
  ): Promise<PoolReport> {
    return this.#run(options, (rest) => fillPool(this.#config, input, rest));
  }

  /** Drops the databases that are ready. */
  drainPool(input: { server?: string } = {}, options: ChangeOptions = {}): Promise<PoolReport> {
    return this.#run(options, (rest) => drainPool(this.#config, input, rest));
  }

  /** How many are ready, per server. */
  poolStatus(server?: string, options: ChangeOptions = {}): Promise<PoolStatus[]> {
    return this.#run(options, (rest) => poolStatus(this.#config, server, rest));
  }

  /** The plugins there are, and who has them. @throws MpmError UNKNOWN_TENANT */
  plugins(options: { tenant?: string } & ChangeOptions = {}): Promise<PluginList> {
    return this.#run(options, (rest) => listPlugins(this.#config, rest));
  }

  /** Makes a plugin installable. @throws MpmError USAGE, FOLDER_MISSING, MIGRATION_INVALID, CENTRAL_INVALID */
  addPlugin(name: string, options: { title?: string } & ChangeOptions = {}): Promise<AddedPlugin> {
    return this.#run(options, (rest) => makeInstallable(this.#config, name, rest));
  }

  /** Records a plugin for tenants, and applies its migrations. @throws MpmError UNKNOWN_PLUGIN; else as {@link up} */
  installPlugin(name: string, selection: Selection, options: RunOptions = {}): Promise<RunReport> {
    return this.#run(options, (rest) => installPlugin(this.#config, name, selection, rest));
  }

  /** Takes a plugin from tenants; who has its migrations is refused without `down` or `keep`. Throws as {@link up}. */
  uninstallPlugin(name: string, selection: Selection, options: UninstallOptions = {}): Promise<RunReport> {
    return this.#run(options, (rest) => uninstallPlugin(this.#config, name, selection, rest));
  }

  /** Looks at everything that the rest needs, and says what is wrong; changes nothing. */
  doctor(options: { signal?: AbortSignal } = {}): Promise<DoctorReport> {
    return this.#run(options, (rest) => doctor(this.#config, rest));
  }

  /** Judges migrations by rules, without running them. @throws MpmError MIGRATION_INVALID, GIT, USAGE, CONFIG_INVALID */
  lint(options: LintOptions = {}): Promise<LintReport> {
    return this.#run(options, (rest) => lint(this.#config, rest));
  }

  /** All that a pull request is to be asked; writes nothing to a tenant. Throws as {@link lint}, and what the server says. */
  check(options: CheckOptions = {}): Promise<CheckReport> {
    return this.#run(options, (rest) => check(this.#config, rest));
  }

  /**
   * Starts nothing more, and waits until what is in work has ended and every connection is given back.
   * @param options.signal once aborted, connections that sessions still have are cut
   */
  async close(options: { signal?: AbortSignal } = {}): Promise<void> {
    this.#closing.abort();
    await Promise.allSettled([...this.#running, this.#sessions.close(options.signal), this.#idle.close()]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #run<O extends { signal?: AbortSignal | undefined; onEvent?: OnEvent }, R>(
    options: O | undefined,
    verb: (options: O) => Promise<R>,
  ): Promise<R> {
    const closing = this.#closing.signal;
    if (closing.aborted) {
      throw new MpmError('FLEET_CLOSED', 'the fleet is closed', { hint: 'Open a new one: openFleet(…)' });
    }
    const signal = options?.signal ? AbortSignal.any([options.signal, closing]) : closing;
    const events = options?.onEvent && guardEvents(options.onEvent);
    const running = verb({ ...options, signal, ...(events && { onEvent: events.onEvent }) } as O);
    this.#running.add(running);
    try {
      const result = await running;
      events?.tell(result);
      return result;
    } finally {
      this.#running.delete(running);
    }
  }
}
