import type { Central } from '../central/central.ts';
import type { PastTimes } from '../central/past-times.ts';
import type { Config } from '../config/define.ts';
import type { ModuleWatch } from '../engine/module/module-process.ts';
import type { ReportBuilder } from './report/collect.ts';
import type { Unstamped } from './events.ts';
import type { TenantResult } from './report/report.ts';
import type { ReplicaLag } from './schedule/replica-lag.ts';
import type { ServerViews } from './schedule/server-view.ts';
import type { ToolWatch } from './tool-watch.ts';
import type { Survey } from './schedule/sweep.ts';

/** What a verb's visits have in common. */
export interface WalkContext {
  central: Central;
  config: Config;
  /** The run's number as the history and application_name carry it. */
  run: string;
  tenants: Survey;
  /** Of a verb that begins with those that took long, where some did. */
  past: PastTimes | undefined;
  signal?: AbortSignal | undefined;
  cancel?: AbortSignal | undefined;
  views: ServerViews;
  lag: ReplicaLag;
  modules: ModuleWatch;
  /** Of tools whose histories were taken over; only where the verb tells whether they have gone on. */
  tools?: ToolWatch | undefined;
  report: ReportBuilder;
  /** Sends an event to subscribers. */
  tell(event: Unstamped): void;
  /** A tenant's end: into the report, the ledger, and to subscribers. */
  finish(result: TenantResult): Promise<void>;
}
