import { setImmediate as soon } from 'node:timers/promises';
import { type Central, withCentral } from '../central/central.ts';
import { HEARTBEAT } from '../central/liveness.ts';
import { activeRuns, beat, recordTenants } from '../central/runs.ts';
import { beatPart } from '../central/parts.ts';
import type { Tenant } from '../central/tenant.ts';
import type { Config } from '../config/define.ts';
import { errorReport } from '../errors.ts';
import { ModuleWatch } from '../migration/module-process.ts';
import { TOOL_VERSION } from '../version.ts';
import { ReportBuilder } from './collect.ts';
import type { OnEvent, Unstamped } from './events.ts';
import type { StopReason, Trial } from './lanes.ts';
import { LedgerWriter } from './ledger.ts';
import { amountOf, failureBudget } from './limit.ts';
import type { RunReport, TenantResult } from './report.ts';
import { closeRun, describeActive, openRun, shardOf } from './run-row.ts';
import {
  type Selection,
  describeSelection,
  refuseBehind,
  requireSelection,
  selectsByName,
} from './select.ts';
import { ServerViews } from './server-view.ts';
import { type Survey, type SweepOptions, survey, sweep } from './sweep.ts';
import { type Tried, asFirst, failedBy, joined, refOf, resultOf, skipped, trialOf } from './tried.ts';
import { inTurn } from './turn.ts';
import { unmetBy } from './unmet.ts';
import { planWaves, takeWaves, type WaveOptions } from './waves.ts';

export interface RunOptions extends SweepOptions, WaveOptions {
  onEvent?: OnEvent;
  /** Runs with the same key are one run of the ledger: the slices of one deployment (fleet 12). */
  runKey?: string;
}

/** What a verb's work on a tenant is given. */
export interface RunContext {
  central: Central;
  config: Config;
  /** The run's number as the history and application_name carry it. */
  run: string;
  signal?: AbortSignal | undefined;
  cancel?: AbortSignal | undefined;
  views: ServerViews;
  modules: ModuleWatch;
  report: ReportBuilder;
  /** To who follows the run. */
  tell(event: Unstamped): void;
  /** A tenant's end: into the report, the ledger, and to who follows. */
  settle(result: TenantResult): Promise<void>;
}

/** What a verb does in a run. */
export interface RunWork {
  verb: string;
  selection: Selection;
  /** One attempt at a tenant; `before` is what the last attempt came to. Must not reject. */
  attempt(tenant: Tenant, context: RunContext, before: Tried | undefined): Promise<Tried>;
  /** What it would come to, where that is known without an attempt. Must not reject. */
  known?: ((tenant: Tenant, context: RunContext) => Promise<Tried | undefined>) | undefined;
  /** False: it only reads, and is no run of the ledger. */
  recorded?: boolean;
  /** Who is on hold is worked on all the same. */
  pastHold?: boolean;
  /** It looks at tenants, and so finds out who is behind. */
  takesBehind?: boolean;
  /** Tenants whose folders lack core migrations are told, and end it with 4 (fleet 32). */
  tellsBehind?: boolean;
  /** In `canary` and the waves of the configuration; these not where tenants are named. */
  inWaves?: boolean;
  /** Looks at the whole selection before anything is done to it; a text: why nothing is done to anybody. */
  preflight?(context: RunContext, tenants: Survey): Promise<Preflight | undefined>;
}

/** Some of the selection stop all of it: they are in the report as what they are, the others as skipped. */
export interface Preflight {
  /** Ids of those whose result is in the report already. */
  reported: ReadonlySet<string>;
  /** Why the others are skipped. */
  reason: string;
}

/**
 * The bracket around every run: central database → selection → run row → lanes → report. What happens to a
 * tenant is one event, and feeds ledger, report and the caller's `onEvent`. Throws only for what stops a run
 * before its first tenant; afterwards the report says what went wrong.
 */
export async function conductRun(config: Config, work: RunWork, options: RunOptions): Promise<RunReport> {
  requireSelection(work.selection);
  if (!work.takesBehind) refuseBehind(work.selection, work.verb);
  failureBudget(options.maxFailures, 0);
  if (options.canary !== undefined) amountOf('--canary', options.canary, 0);
  const started = Date.now();
  return withCentral(config, async (central) => {
    const tenants = await survey(central, work.selection, work.verb);
    const views = new ServerViews(central);
    const head = {
      verb: work.verb,
      selection: describeSelection(work.selection),
      toolVersion: TOOL_VERSION,
      startedAt: new Date(started).toISOString(),
    };
    const part = options.runKey === undefined ? undefined : shardOf(work.selection).index;
    const run =
      work.recorded === false ? null : await openRun(central, tenants, head, work.selection, options.runKey);
    // From here on, what is asked of the central database is asked in turn.
    for (const { server, count } of tenants.servers) views.expect(server, count);
    const report = new ReportBuilder({ run, ...head }, { keepResults: selectsByName(work.selection) });
    const pass = (event: Unstamped): unknown => options.onEvent?.({ ...event, at: Date.now() - started });
    const tell = (event: Unstamped): void => void pass(event);
    const notice = (message: string): void => {
      report.notice(message);
      tell({ type: 'notice', message });
    };
    const ledger = new LedgerWriter(
      async (batch) => {
        if (run !== null) await inTurn(central, () => recordTenants(central, run, batch));
      },
      (error) => notice(`${error.message}. The run goes on without it.`),
    );
    const settle = async (result: TenantResult): Promise<void> => {
      // With --behind, only those with something to do were selected; the ledger knows that the others are done.
      if (!work.selection.behind || result.outcome !== 'current') report.add(result);
      // Who follows slower than the lanes makes them wait, as the ledger does: memory stays flat.
      await Promise.all([pass({ type: 'tenant-finished', result }), ledger.record(result)]);
    };
    const modules = new ModuleWatch((error) => {
      if (report.error) notice(error.message);
      else report.error = errorReport(error);
    });
    const { signal, cancel } = options;
    const context: RunContext = {
      central,
      config: central.config,
      run: String(run ?? work.verb),
      signal,
      cancel,
      views,
      modules,
      report,
      tell,
      settle,
    };
    const hurry = (): void => central.connection.hurry();
    cancel?.addEventListener('abort', hurry);
    const heart =
      run === null
        ? undefined
        : setInterval(
            () =>
              void ledger.attempt(() =>
                inTurn(central, () => (part ? beatPart(central, run, part) : beat(central, run))),
              ),
            HEARTBEAT.every,
          );

    tell({ type: 'run-started', run, verb: work.verb, total: tenants.total, selection: head.selection });
    // Who else is at it (fleet 10) is worth a notice and not a wait: the first tenants are begun before.
    const tellOthers = async (own: number): Promise<void> => {
      await soon();
      const others = await inTurn(central, () => activeRuns(central, own));
      for (const other of others) notice(describeActive(other));
    };
    const telling = run === null ? undefined : ledger.attempt(() => tellOthers(run));
    try {
      await takeAll(context, tenants, work, options);
    } catch (error) {
      report.error ??= errorReport(error);
    } finally {
      clearInterval(heart);
    }
    await telling;
    // Nobody was worked on: that may be what was asked for, or a selection that is not what it seems.
    const { total, skipped } = report.counts;
    if (total === skipped && !report.error && !signal?.aborted) {
      const looked = { none: tenants.total === 0, held: !work.pastHold, verb: work.verb };
      await ledger.attempt(async () => void (report.unmet = await unmetBy(central, work.selection, looked)));
    }
    const finish = (): RunReport => {
      if (ledger.error) report.error ??= errorReport(ledger.error);
      return report.finish({ durationMs: Date.now() - started, interrupted: signal?.aborted ?? false });
    };
    await ledger.close();
    if (run !== null)
      await ledger.attempt(() => inTurn(central, () => closeRun(central, run, part, finish())));
    cancel?.removeEventListener('abort', hurry);
    modules.end();
    const finished = finish();
    tell({ type: 'run-finished', report: finished });
    return finished;
  });
}

async function takeAll(
  context: RunContext,
  tenants: Survey,
  work: RunWork,
  options: RunOptions,
): Promise<void> {
  const stop = await work.preflight?.(context, tenants);
  const { canary } = options;
  const configured = !selectsByName(work.selection);
  const whole = stop || !work.inWaves || !(configured || canary !== undefined);
  const waves = whole
    ? []
    : await inTurn(context.central, () => planWaves(context.central, tenants, { canary, configured }));
  const take = (part: Survey, how: SweepOptions): Promise<void> =>
    takePart(context, part, work, stop, { ...options, ...how });
  await (waves.length ? takeWaves(context, waves, options, take) : take(tenants, options));
}

async function takePart(
  context: RunContext,
  tenants: Survey,
  work: RunWork,
  stop: Preflight | undefined,
  options: RunOptions,
): Promise<void> {
  const { central, views } = context;
  const end = async (tenant: Tenant, tried: Tried, how: { attempts: number; durationMs: number }) => {
    if (stop?.reported.has(tenant.id)) return;
    if (work.tellsBehind && tried.lacksCore) context.report.behind.add(tried.tenant ?? tenant);
    await context.settle(resultOf(tenant, tried, how));
  };
  const sift = async (page: readonly Tenant[]): Promise<readonly Tenant[]> => {
    const left: Tenant[] = [];
    for (const tenant of page) {
      const tried = stop ? undefined : await work.known?.(tenant, context);
      if (tried) await end(tenant, tried, { attempts: 1, durationMs: 0 });
      else left.push(tenant);
    }
    return left;
  };
  const how = { ...options, views, sift: work.known && sift };
  await sweep<Progress>(central, tenants, how, {
    attempt: (tenant, before) => tryOnce(context, tenant, work, stop, before),
    onRetry: (tenant, trial, retryInMs) => {
      const reason = trial.value.tried.error?.message ?? 'waits for another attempt';
      context.tell({ type: 'tenant-waiting', tenant: refOf(tenant), reason, retryInMs });
    },
    onSettled: (tenant, { value: { tried, durationMs } }, attempts) =>
      end(tenant, tried, { attempts, durationMs }),
    onGivenUp: (tenant, { tenant: first, trial }) => ({
      ...trial,
      value: { tried: asFirst(trial.value.tried, first, tenant), durationMs: 0 },
    }),
    onNotTried: (tenant, reason) => end(tenant, skipped(NOT_TRIED[reason]), { attempts: 0, durationMs: 0 }),
  });
}

/** What has come of a tenant so far, over its attempts. */
interface Progress {
  tried: Tried;
  /** In work; without the waiting between attempts. */
  durationMs: number;
}

async function tryOnce(
  context: RunContext,
  tenant: Tenant,
  work: RunWork,
  stop: Preflight | undefined,
  before: Progress | undefined,
): Promise<Trial<Progress>> {
  const started = Date.now();
  if (!stop) context.tell({ type: 'tenant-started', tenant: refOf(tenant) });
  const tried = stop
    ? skipped(stop.reason)
    : joined(before?.tried, await work.attempt(tenant, context, before?.tried).catch(failedBy));
  return {
    ...trialOf(tried),
    value: { tried, durationMs: (before?.durationMs ?? 0) + Date.now() - started },
  };
}

const NOT_TRIED: Record<StopReason, string> = {
  interrupted: 'not tried: the run was interrupted',
  'max-failures': 'not tried: too many had failed',
};
