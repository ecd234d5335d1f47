import { configFrom, loadConfig } from './config/load.ts';
import type { ConfigInput } from './config/define.ts';
import { Fleet } from './fleet/fleet.ts';

export { defineConfig } from './config/define.ts';
export { MpmError } from './errors.ts';
export type { Fleet };
export type {
  CentralInput,
  ConfigInput,
  MigrationOrder,
  ServerInput,
  SessionReset,
  TenantsInput,
  UrlInput,
  UsersInput,
} from './config/define.ts';
export type { Duration } from './pace.ts';
export type { ConnectionFunction } from './config/connection-function.ts';
export type { UrlSecret } from './config/secret-url.ts';
export type { ConnectionConfig, ConnectionRequest } from './postgres/address.ts';
export type { DatabaseErrorFields, ErrorCode, ErrorReport, FileProblem, SourceExcerpt } from './errors.ts';
export type { OnEvent, RunEvent } from './fleet/events.ts';
export type {
  GrownTool,
  AppliedMigration,
  FailureGroup,
  Outcome,
  RunCounts,
  RunReport,
  TenantRef,
  TenantResult,
  WaveReport,
} from './fleet/report/report.ts';
export type { WaveOptions, WaveQuestion } from './fleet/schedule/waves.ts';
export type { RunOptions } from './fleet/walk.ts';
export type { Selection } from './fleet/select.ts';
export type {
  HistoryEntry,
  StatusCohort,
  StatusCounts,
  StatusReport,
  StatusRow,
  StatusState,
  VerifiedRun,
} from './fleet/report/status-report.ts';
export type {
  HistoryChange,
  EditCounts,
  EditGroup,
  EditReport,
  EditResult,
} from './fleet/report/edit-report.ts';
export type { PlanGroup, PlannedMigration, PlanOutcome, PlanReport } from './fleet/report/plan-report.ts';
export type { BaselineOptions } from './fleet/verbs/baseline.ts';
export type { DownOptions } from './fleet/verbs/down.ts';
export type { FreshOptions } from './fleet/verbs/fresh.ts';
export type { PlanOptions } from './fleet/verbs/plan.ts';
export type { AddedPlugin, PluginList, PluginRow } from './fleet/verbs/plugin-list.ts';
export type { UninstallOptions } from './fleet/verbs/plugin-uninstall.ts';
export type { ImpactGroup, ImpactReport, ImpactUnknown, ServerImpact } from './fleet/report/impact-report.ts';
export type { RehearseOptions } from './fleet/verbs/rehearse.ts';
export type {
  RehearsedMigration,
  RehearseReport,
  ServerForecast,
  UnrehearsedGroup,
} from './fleet/report/rehearse-report.ts';
export type { LockMode } from './engine/sql/effects/lock-mode.ts';
export type { Size } from './size.ts';
export type { RepairOptions } from './fleet/verbs/repair.ts';
export type { ResolveOptions } from './fleet/verbs/resolve.ts';
export type { ExecOptions, ExecReport, TenantRows } from './fleet/verbs/exec.ts';
export type { SnapshotOptions } from './fleet/verbs/snapshot.ts';
export type { SnapshotDifference, SnapshotReport } from './fleet/report/snapshot-report.ts';
export type { StatusOptions } from './fleet/verbs/status.ts';
export type { UpOptions } from './fleet/verbs/up.ts';
export type { GateOptions } from './fleet/verbs/gate.ts';
export type { GateReport, Straggler } from './fleet/report/gate-report.ts';
export type { CheckOptions } from './fleet/verbs/check.ts';
export type { CheckKind, CheckProblem, CheckReport } from './fleet/report/check-report.ts';
export type { LintOptions } from './fleet/verbs/lint.ts';
export type { LintReport } from './fleet/report/lint-report.ts';
export type { AllowedFinding, Finding as LintFinding } from './lint/finding.ts';
export type { NotLinted } from './lint/lint.ts';
export type { VerifyOptions } from './fleet/verbs/verify.ts';
export type { DriftGroup, VerifyReport } from './fleet/report/verify-report.ts';
export type { Difference, FactDifference } from './engine/catalog/compare.ts';
export type { CatalogKind, Fact } from './engine/catalog/query.ts';
export type { Tenant, TenantClash } from './central/list/tenant.ts';
export type { PoolStats } from './sessions/pool-choice.ts';
export type { Session, SessionOptions, TenantId } from './sessions/sessions.ts';
export type { ToolName } from './dialects/tool-names.ts';
export type { RepairKind, Resolution } from './engine/edit/decide.ts';
export type { Refusal } from './engine/remedy.ts';
export type { ResultTable } from './postgres/message.ts';
export type { MigrationState } from './engine/history/state.ts';
export type { ProvisionOptions, ProvisionReport } from './tenants/create/creation.ts';
export type { ProvisionInput } from './tenants/create/provision.ts';
export type { Finding } from './fleet/doctor/findings.ts';
export type { DoctorReport } from './fleet/doctor/doctor.ts';
export type { AdoptTenantsInput, AdoptTenantsOptions } from './fleet/verbs/adopt.ts';
export type { DatabaseNames } from './fleet/verbs/adopt-names.ts';
export type { AdoptedDatabase, AdoptReport } from './fleet/report/adopt-report.ts';
export type { DatabaseContents } from './tenants/adoptable.ts';
export type { AdoptInput } from './tenants/adopt.ts';
export type { TenantChange } from './tenants/change.ts';
export type { CloneInput } from './tenants/clone.ts';
export type { DropOptions } from './tenants/drop.ts';
export type { MoveInput } from './tenants/move/move.ts';
export type { PoolReport, PoolStatus } from './tenants/create/pool.ts';

export interface OpenOptions {
  /** What relative paths start from, and where a configuration file is searched for; by default the working directory. */
  cwd?: string;
  /** Who runs this, for the history. */
  actor?: string;
}

/**
 * Opens a fleet; connects to nothing yet.
 * @param config the configuration itself, or its file; without it the file is searched for
 * @throws MpmError CONFIG_MISSING, CONFIG_UNREADABLE; CONFIG_INVALID with every problem at once
 */
export async function openFleet(config?: ConfigInput | string, options: OpenOptions = {}): Promise<Fleet> {
  const { cwd, actor } = options;
  // A library leaves the environment to its caller.
  const origin = { env: {}, library: true, ...(cwd === undefined ? {} : { cwd }) };
  const said = actor === undefined ? {} : { actor };
  if (typeof config === 'object') return new Fleet(await configFrom(config, said, origin));
  return new Fleet(await loadConfig({ ...said, ...(config === undefined ? {} : { file: config }) }, origin));
}
