import { type Central, withCentral } from '../central/central.ts';
import { tenantProblem } from '../central/problem.ts';
import type { Tenant } from '../central/tenant.ts';
import type { Config } from '../config/define.ts';
import { errorReport } from '../errors.ts';
import { amend, type Change } from '../migration/amend.ts';
import type { Migration } from '../migration/migration.ts';
import type { Found } from '../migration/read.ts';
import type { HistoryRow } from '../migration/state.ts';
import type { Admit } from '../migration/unit.ts';
import type { Connection } from '../postgres/connection.ts';
import { tenantSet } from '../tenant/folder.ts';
import { TOOL_VERSION } from '../version.ts';
import { ReportBuilder } from './collect.ts';
import type { OnEvent, Unstamped } from './events.ts';
import type { FleetFiles } from './files.ts';
import { Groups } from './groups.ts';
import type { HistoryChange, MendReport, MendResult } from './mend-report.ts';
import {
  type Selection,
  describeSelection,
  refuseBehind,
  requireSelection,
  selectsByName,
} from './select.ts';
import { onCurrentRow } from './row.ts';
import { type SweepOptions, survey, sweep } from './sweep.ts';
import { type Tried, asFirst, failedBy, refOf, resultOf, skipped, trialOf } from './tried.ts';
import { unmetBy } from './unmet.ts';
import { inactiveReason, targetOf } from './work.ts';

export interface MendOptions extends Pick<SweepOptions, 'concurrency' | 'signal'> {
  /** Do it; without, it is only shown what would be done. */
  write?: boolean;
  onEvent?: OnEvent;
}

/** One tenant's history, as a verb decides on it. */
export interface MendCase {
  migrations: readonly Migration[];
  rows: readonly HistoryRow[];
  connection: Connection;
  found: Found;
  /** Something to be said in the report that is no error. */
  notice(text: string): void;
}

export interface MendWork {
  verb: MendReport['verb'];
  selection: Selection;
  files: FleetFiles;
  decide(history: MendCase): Change[] | Promise<Change[]>;
}

/** What came of one tenant, with what was changed. */
interface Mended {
  tried: Tried;
  changes: HistoryChange[];
}

/**
 * The bracket around verbs that change histories and run nothing (engine 25): every selected tenant through the
 * lanes, one transaction each. Throws only for what stops it before the first tenant.
 */
export async function conductMend(
  config: Config,
  work: MendWork,
  { write = false, onEvent, ...options }: MendOptions,
): Promise<MendReport> {
  requireSelection(work.selection);
  refuseBehind(work.selection, work.verb);
  const started = Date.now();
  const { verb, selection } = work;
  const byName = selectsByName(selection);
  const head = {
    verb,
    selection: describeSelection(selection),
    toolVersion: TOOL_VERSION,
    startedAt: new Date(started).toISOString(),
  };
  const builder = new ReportBuilder({ run: null, ...head }, { keepResults: false });
  const groups = new Groups<HistoryChange[]>();
  const results: MendResult[] = [];
  const tell = (event: Unstamped): void => void onEvent?.({ ...event, at: Date.now() - started });

  const takeAll = async (central: Central): Promise<void> => {
    const tenants = await survey(central, selection);
    tell({ type: 'run-started', run: null, verb, total: tenants.total, selection: head.selection });
    const settle = (tenant: Tenant, { tried, changes }: Mended, attempts: number): void => {
      const result = resultOf(tenant, tried, { attempts, durationMs: 0 });
      builder.add(result);
      tell({ type: 'tenant-finished', result });
      const key = changes.map(({ action, name }) => `${action} ${name}`).join('\n');
      if (changes.length) groups.add(refOf(tenant), key, () => changes);
      if (byName && results.length < 1000) results.push(mendResult(result, changes));
    };
    await sweep<Mended>(central, tenants, options, {
      attempt: async (tenant, before) => {
        tell({ type: 'tenant-started', tenant: refOf(tenant) });
        let changes: HistoryChange[] = [];
        const how = { write, byName, signal: options.signal };
        const tried = await onCurrentRow(central, tenant, before?.tried, async (row, admit) => {
          const mended = await mend(central, row, work, { ...how, admit }, tell);
          changes = mended.changes;
          return mended.tried;
        });
        const mended = { tried, changes };
        return { ...trialOf(mended.tried), value: mended };
      },
      onRetry: (tenant, { value }, retryInMs) => {
        const reason = value.tried.error?.message ?? '';
        tell({ type: 'tenant-waiting', tenant: refOf(tenant), reason, retryInMs });
      },
      onSettled: (tenant, { value }, attempts) => settle(tenant, value, attempts),
      onGivenUp: (tenant, { tenant: first, trial }) => ({
        ...trial,
        value: { tried: asFirst(trial.value.tried, first, tenant), changes: [] },
      }),
      onNotTried: (tenant) => settle(tenant, { tried: skipped('not tried: interrupted'), changes: [] }, 0),
    });
  };
  let unmet: string | undefined;
  await withCentral(config, async (central) => {
    await takeAll(central);
    // Who names a tenant that is on hold means it.
    if (builder.counts.total === 0 && !options.signal?.aborted)
      unmet = await unmetBy(central, selection, { none: true, held: false });
  }).catch((error: unknown) => {
    if (builder.counts.total === 0) throw error;
    builder.error ??= errorReport(error);
  });

  const end = { durationMs: Date.now() - started, interrupted: options.signal?.aborted ?? false };
  const { failures, skipped: passed, notices, error, counts } = builder.finish(end);
  const others = groups.others
    ? [`${groups.others} more tenants, each with changes of its own, are not listed`]
    : [];
  return {
    ...head,
    ...end,
    verb,
    write,
    counts: {
      total: counts.total,
      changed: counts.migrated + counts.pending,
      unchanged: counts.current,
      failed: counts.failed + counts.refused,
      busy: counts.busy,
      skipped: counts.skipped,
    },
    groups: groups.list().map(({ what: changes, count, tenants }) => ({ changes, count, tenants })),
    failures,
    skipped: passed,
    notices: [...notices, ...others],
    ...(unmet === undefined ? {} : { unmet }),
    ...(byName ? { tenants: results } : {}),
    ...(error ? { error } : {}),
  };
}

async function mend(
  { config }: Central,
  tenant: Tenant,
  { verb, files, decide }: MendWork,
  {
    write,
    byName,
    signal,
    admit,
  }: { write: boolean; byName: boolean; signal: AbortSignal | undefined; admit: Admit },
  tell: (event: Unstamped) => void,
): Promise<Mended> {
  const inactive = inactiveReason(tenant);
  // Who names a tenant that is on hold means it: mending is often why it is held.
  if (inactive && !(byName && tenant.status === 'hold')) return { tried: skipped(inactive), changes: [] };
  const problem = tenantProblem(tenant, config);
  if (problem) return { tried: failedBy(problem), changes: [] };
  const notices = new Set<string>();
  try {
    const { migrations } = await tenantSet(tenant, files.core, config, files.cache);
    const amendment = await amend(
      targetOf(tenant, config, verb),
      {
        history: config.history,
        pace: config.pace,
        run: verb,
        actor: config.actor,
        toolVersion: TOOL_VERSION,
        signal,
        admit,
        write,
        migrations,
        onWaiting: (reason) => tell({ type: 'tenant-waiting', tenant: refOf(tenant), reason }),
      },
      (rows, connection, found) =>
        decide({ migrations, rows, connection, found, notice: (text) => void notices.add(text) }),
    );
    const changes = amendment.changes.map(({ action, name, why }) => ({ action, name, why }));
    const outcome = changes.length === 0 ? 'current' : amendment.written ? 'migrated' : 'pending';
    const nothing = { from: null, to: null, applied: [], pending: [] };
    return { tried: { outcome, ...nothing, notices: [...notices], retryable: false }, changes };
  } catch (error) {
    return { tried: failedBy(error), changes: [] };
  }
}

function mendResult(
  { tenant, outcome, error, reason }: ReturnType<typeof resultOf>,
  changes: HistoryChange[],
): MendResult {
  const word =
    outcome === 'migrated' || outcome === 'pending'
      ? 'changed'
      : outcome === 'current'
        ? 'unchanged'
        : outcome === 'busy' || outcome === 'skipped'
          ? outcome
          : 'failed';
  return {
    tenant,
    outcome: word,
    changes,
    ...(error ? { error } : {}),
    ...(reason === undefined ? {} : { reason }),
  };
}
