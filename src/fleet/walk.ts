import { setImmediate as soon } from 'node:timers/promises';
import { withCentral } from '../central/central.ts';
import { HEARTBEAT, beatShard } from '../central/shards.ts';
import { activeRuns, beat, recordTenants } from '../central/runs.ts';
import { pastTimes } from '../central/past-times.ts';
import type { Tenant } from '../central/list/tenant.ts';
import type { Config } from '../config/define.ts';
import { asMpmError, errorReport } from '../errors.ts';
import { mergeAttempts } from '../engine/apply/migrate.ts';
import { ModuleWatch } from '../engine/module/module-process.ts';
import { TOOL_VERSION } from '../version.ts';
import { type TenantAttempt, refOf, resultOf, skipped } from './attempt.ts';
import { ReportBuilder } from './report/collect.ts';
import type { WalkContext } from './context.ts';
import type { OnEvent, Unstamped } from './events.ts';
import type { StopReason } from './schedule/lanes.ts';
import { LedgerWriter, closeRun, describeActive, openRun, shardOf } from './ledger.ts';
import { amountOf, failureBudget } from './schedule/limit.ts';
import type { RunReport, TenantResult } from './report/report.ts';
import {
  type Selection,
  describeSelection,
  refuseBehind,
  requireSelection,
  selectsByName,
} from './select.ts';
import { maxLagOf, ReplicaLag } from './schedule/replica-lag.ts';
import { ServerViews } from './schedule/server-view.ts';
import { expectedTimes, type Survey, type SweepOptions, survey, sweep, timeOf } from './schedule/sweep.ts';
import { serialize } from './schedule/serialize.ts';
import { unmetBy } from './unmet.ts';
import { visit, type TenantVerb } from './visit.ts';
import { grownText, ToolWatch } from './tool-watch.ts';
import { planWaves, runWaves, type WaveOptions } from './schedule/waves.ts';

export interface RunOptions extends SweepOptions, WaveOptions {
  onEvent?: OnEvent;
  /** Runs with the same key are one run of the ledger: the slices of one deployment (fleet 12). */
  runKey?: string;
}

/** What a command does at each tenant, and how that becomes a report. `D` is what a visit finds out beside its result. */
export interface Verb<D = unknown> extends TenantVerb<D> {
  /** As it can be typed again. */
  name: string;
  selection: Selection;
  /** The result, when it is known without connecting. Must not reject. */
  known?: ((tenant: Tenant, context: WalkContext) => Promise<TenantAttempt<D> | undefined>) | undefined;
  /** Takes a tenant's end into a report of the verb's own; the walk's then is not sent to subscribers. */
  gather?(result: TenantResult, attempt: TenantAttempt<D>, tenant: Tenant, context: WalkContext): void;
  /** False: it is no run of the ledger. `where it can be`: it goes on, with a notice, where the ledger is not written. */
  recorded?: boolean | 'where it can be';
  /** Whose last run a bare `--failed` means, where that is not its own. */
  failedOf?: string;
  /** It finds out who is behind, so `--behind` goes with it. */
  takesBehind?: boolean;
  /** Tenants whose folders lack core migrations are told, and end it with 4 (fleet 32). */
  tellsBehind?: boolean;
  /** Other tools that have gone on migrating are told (histories 11). */
  tellsTools?: boolean;
  /** In `canary` and the waves of the configuration; these not where tenants are named. */
  inWaves?: boolean;
  /** Tenants that took long the last time are begun first, within a wave and on each server. */
  longestFirst?: boolean;
  /** Looks at the whole selection before anything is done to it; a text: why nothing is done to anybody. */
  preflight?: ((context: WalkContext) => Promise<Preflight | undefined>) | undefined;
}

/** Some of the selection stop all of it: they are in the report as what they are, the others as skipped. */
export interface Preflight {
  /** Ids of those whose result is in the report already. */
  reported: ReadonlySet<string>;
  /** Why the others are skipped. */
  reason: string;
}

/**
 * The one walk over a fleet: central database → selection → run row → lanes → report. Every tenant's end is one
 * result, for ledger, report, and the caller's `onEvent`. Throws only for what stops it before its first tenant;
 * afterwards the report says what went wrong.
 */
export async function walk<D>(config: Config, verb: Verb<D>, options: RunOptions): Promise<RunReport> {
  const { name, selection, failedOf = name } = verb;
  requireSelection(selection);
  if (!verb.takesBehind) refuseBehind(selection, name);
  failureBudget(options.maxFailures, 0);
  const maxLag = maxLagOf(options.maxLag);
  if (options.canary !== undefined) amountOf('--canary', options.canary, 0);
  const started = Date.now();
  return withCentral(config, async (central) => {
    const tenants = await survey(central, selection, failedOf);
    const views = new ServerViews(central);
    const past =
      verb.longestFirst && tenants.total > 1 ? await pastTimes(central, name, tenants.total) : undefined;
    const expectedMs = past && (await expectedTimes(central, tenants, past));
    const head = {
      verb: name,
      selection: describeSelection(selection),
      toolVersion: TOOL_VERSION,
      startedAt: new Date(started).toISOString(),
    };
    const shard = options.runKey === undefined ? undefined : shardOf(selection).index;
    const mayFail = verb.recorded === 'where it can be';
    const opening =
      verb.recorded === false ? null : openRun(central, tenants, head, selection, options.runKey);
    const unrecorded = mayFail ? await opening?.then(() => undefined, asMpmError) : undefined;
    const run = unrecorded ? null : await opening;
    // From here on, what is asked of the central database is asked in turn.
    for (const { server, count } of tenants.servers) views.expect(server, count);
    const keepResults = !verb.gather && selectsByName(selection);
    const report = new ReportBuilder({ run, ...head }, { keepResults });
    const pass = (event: Unstamped): unknown => options.onEvent?.({ ...event, at: Date.now() - started });
    const tell = (event: Unstamped): void => void pass(event);
    const notice = (message: string): void => {
      report.notice(message);
      tell({ type: 'notice', message });
    };
    if (unrecorded) notice(`Not recorded: the ledger can't be written: ${unrecorded.message}`);
    const watched = verb.recorded !== false && !mayFail ? tenants.servers.map(({ server }) => server) : [];
    const lag = new ReplicaLag(central.config, watched, maxLag, notice);
    const ledger = new LedgerWriter(
      async (batch) => {
        if (run !== null) await serialize(central, () => recordTenants(central, run, batch));
      },
      (error) => notice(`${error.message}. The run continues without it.`),
    );
    const modules = new ModuleWatch((error) => {
      if (report.error) notice(error.message);
      else report.error = errorReport(error);
    });
    const { signal, cancel } = options;
    const context: WalkContext = {
      central,
      config: central.config,
      run: String(run ?? name),
      tenants,
      past,
      signal,
      cancel,
      views,
      lag,
      modules,
      tools: verb.tellsTools ? await ToolWatch.open(central) : undefined,
      report,
      tell,
      finish: async (result) => {
        // With --behind, only those with something to do were selected; the ledger knows that the others are done.
        if (!selection.behind || result.outcome !== 'current') report.add(result);
        // Subscribers slower than the lanes make them wait, as the ledger does: memory stays flat.
        await Promise.all([pass({ type: 'tenant-finished', result }), ledger.record(result)]);
      },
    };
    const hurry = (): void => central.connection.hurry();
    cancel?.addEventListener('abort', hurry);
    const heart =
      run === null
        ? undefined
        : setInterval(
            () =>
              void ledger.attempt(() =>
                serialize(central, () => (shard ? beatShard(central, run, shard) : beat(central, run))),
              ),
            HEARTBEAT.every,
          );

    const { selection: words } = head;
    const behind = selection.behind ? { behind: true as const } : {};
    tell({
      type: 'run-started',
      run,
      verb: name,
      total: tenants.total,
      selection: words,
      ...behind,
      ...(expectedMs && { expectedMs }),
    });
    // Who else is at it (fleet 10) is worth a notice and not a wait: the first tenants are begun before.
    const tellOthers = async (own: number): Promise<void> => {
      await soon();
      const others = await serialize(central, () => activeRuns(central, own));
      for (const other of others) notice(describeActive(other));
    };
    const telling = run === null ? undefined : ledger.attempt(() => tellOthers(run));
    try {
      await lag.begin();
      await runAll(context, verb, options);
    } catch (error) {
      report.error ??= errorReport(error);
    } finally {
      clearInterval(heart);
      await lag.end();
    }
    await telling;
    report.grown = context.tools?.list() ?? [];
    for (const grown of report.grown) notice(`${grownText(grown)}. To take that in: ${grown.remedy}`);
    // Nobody was worked on: that may be what was asked for, or a selection that is not what it seems.
    const { total, skipped: passed } = report.counts;
    if (total === passed && !report.error && !signal?.aborted) {
      const held = verb.passes?.(HELD) === undefined;
      const looked = {
        none: tenants.total === 0,
        held,
        ...(failedOf === name ? { verb: name } : {}),
        ...(verb.past && 'includeHeld' in verb.past ? { flag: '--include-held' as const } : {}),
      };
      await ledger.attempt(async () => void (report.unmet = await unmetBy(central, selection, looked)));
    }
    const finish = (): RunReport => {
      if (ledger.error && !mayFail) report.error ??= errorReport(ledger.error);
      return report.finish({ durationMs: Date.now() - started, interrupted: signal?.aborted ?? false });
    };
    await ledger.close();
    if (run !== null)
      await ledger.attempt(() => serialize(central, () => closeRun(central, run, shard, finish())));
    cancel?.removeEventListener('abort', hurry);
    modules.end();
    const finished = finish();
    if (!verb.gather) tell({ type: 'run-finished', report: finished });
    return finished;
  });
}

async function runAll<D>(context: WalkContext, verb: Verb<D>, options: RunOptions): Promise<void> {
  const { central, tenants } = context;
  const stop = await verb.preflight?.(context);
  const { canary } = options;
  const configured = !selectsByName(verb.selection);
  const whole = stop || !verb.inWaves || !(configured || canary !== undefined);
  const waves = whole
    ? []
    : await serialize(central, () => planWaves(central, tenants, { canary, configured }));
  const take = (part: Survey, how: SweepOptions): Promise<void> =>
    runTenants(context, part, verb, stop, { ...options, ...how });
  await (waves.length ? runWaves(context, waves, options, take) : take(tenants, options));
}

async function runTenants<D>(
  context: WalkContext,
  tenants: Survey,
  verb: Verb<D>,
  stop: Preflight | undefined,
  options: RunOptions,
): Promise<void> {
  const { central, views, past, lag } = context;
  const end = async (tenant: Tenant, attempt: TenantAttempt<D>, attempts: number): Promise<void> => {
    if (stop?.reported.has(tenant.id)) return;
    if (verb.tellsBehind && attempt.lacksCore) context.report.behind.add(attempt.tenant ?? tenant);
    const result = resultOf(tenant, attempt, attempts);
    verb.gather?.(result, attempt, attempt.tenant ?? tenant, context);
    await context.finish(result);
  };
  const sift = async (page: readonly Tenant[]): Promise<readonly Tenant[]> => {
    const left: Tenant[] = [];
    for (const tenant of page) {
      const attempt = stop ? undefined : await verb.known?.(tenant, context);
      if (attempt) await end(tenant, attempt, 1);
      else left.push(tenant);
    }
    return left;
  };
  await sweep<D>(
    central,
    tenants,
    { ...options, views, past, holds: (server) => lag.holds(server), sift: verb.known && sift },
    {
      attempt: (tenant, before) => (stop ? Promise.resolve(skipped(stop.reason)) : attempt(tenant, before)),
      onRetry: (tenant, { error }, retryInMs) => {
        const reason = error?.message ?? 'waits for another attempt';
        context.tell({ type: 'tenant-waiting', tenant: refOf(tenant), reason, retryInMs });
      },
      onEnd: end,
      onNotTried: (tenant, reason) => end(tenant, skipped(NOT_TRIED[reason]), 0),
    },
  );

  async function attempt(tenant: Tenant, before: TenantAttempt<D> | undefined): Promise<TenantAttempt<D>> {
    const started = Date.now();
    context.tell({
      type: 'tenant-started',
      tenant: refOf(tenant),
      ...(past && { expectedMs: timeOf(past, tenant) }),
    });
    // What another tenant with the same history told meanwhile is known of this one as well.
    const known = before ? undefined : await verb.known?.(tenant, context);
    const now = known ?? mergeAttempts(before, await visit(tenant, context, verb, before));
    return { ...now, durationMs: (before?.durationMs ?? 0) + Date.now() - started };
  }
}

/** Who is on hold, to ask whether a verb goes past that. */
const HELD = { status: 'hold' };

const NOT_TRIED: Record<StopReason, string> = {
  interrupted: 'not tried: the run was interrupted',
  'max-failures': 'not tried: too many had failed',
};
