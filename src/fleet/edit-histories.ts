import type { Config } from '../config/define.ts';
import { editHistory, type Change } from '../engine/edit/edit-history.ts';
import type { Migration } from '../engine/migration.ts';
import type { DatabaseState } from '../engine/history/read.ts';
import type { HistoryRow } from '../engine/history/state.ts';
import type { Central } from '../central/central.ts';
import { asMpmError } from '../errors.ts';
import type { Tenant } from '../central/list/tenant.ts';
import type { Connection } from '../postgres/connection.ts';
import { attemptOf, type TenantAttempt } from './attempt.ts';
import type { OnEvent } from './events.ts';
import type { FleetFiles } from './files.ts';
import { Groups } from './report/groups.ts';
import type { HistoryChange, EditReport, EditResult } from './report/edit-report.ts';
import type { Outcome, TenantResult } from './report/report.ts';
import { type Selection, selectsByName } from './select.ts';
import type { SweepOptions } from './schedule/sweep.ts';
import { walk } from './walk.ts';

export interface EditOptions extends Pick<SweepOptions, 'concurrency' | 'signal'> {
  /** Do it; without, it is only shown what would be done. */
  write?: boolean;
  onEvent?: OnEvent;
}

/** One tenant's history, as a verb decides on it. */
export interface EditCase {
  migrations: readonly Migration[];
  rows: readonly HistoryRow[];
  connection: Connection;
  found: DatabaseState;
  tenant: Tenant;
  /** Migrations of the contract phase that are as any other. */
  released: ReadonlySet<string> | undefined;
  /** To be said in the report, though it is no error. */
  notice(text: string): void;
}

/** A verb that changes histories and runs nothing. */
export interface EditVerb {
  name: EditReport['verb'];
  selection: Selection;
  files: FleetFiles;
  decide(history: EditCase): Change[] | Promise<Change[]>;
  /** What is done beside it, once a tenant's history is as it was decided. */
  written?(tenant: Tenant, central: Central): Promise<void>;
}

/** So many results of a selection by name are kept. */
const MOST_RESULTS = 1000;

/** Changes the history of every selected tenant, one transaction each (engine 25). Throws as `walk`. */
export async function editHistories(
  config: Config,
  { name, selection, files, decide, written }: EditVerb,
  { write = false, ...options }: EditOptions,
): Promise<EditReport> {
  const byName = selectsByName(selection);
  const groups = new Groups<HistoryChange[]>();
  const results: EditResult[] = [];
  const report = await walk<HistoryChange[]>(
    config,
    {
      name,
      selection,
      files,
      failedOf: 'up',
      recorded: false,
      // Who names a tenant that is on hold means it: mending is often why it is held.
      passes: ({ status }) => (byName && status === 'hold') || undefined,
      async visit({ tenant, target, migrations, options: how, notice, context }) {
        const notices = new Set<string>();
        const edit = await editHistory(target, { ...how, write, migrations }, (rows, connection, found) =>
          decide({
            migrations,
            rows,
            connection,
            found,
            tenant,
            released: how.released,
            notice: (text) => void notices.add(text),
          }),
        );
        if (write) {
          // The history is written: what is done beside it doesn't undo that.
          await written?.(tenant, context.central).catch((error: unknown) => {
            notices.add(`the ledger can't be written: ${asMpmError(error).message}`);
          });
        }
        for (const text of notices) notice(text);
        const detail = edit.changes.map(({ action, name: what, why }) => ({ action, name: what, why }));
        const outcome = detail.length === 0 ? 'current' : edit.written ? 'migrated' : 'pending';
        return { ...attemptOf({ outcome }), detail };
      },
      gather(result, { detail: changes = [] }: TenantAttempt<HistoryChange[]>) {
        const key = changes.map(({ action, name: what }) => `${action} ${what}`).join('\n');
        if (changes.length) groups.add(result.tenant, key, () => changes);
        if (byName && results.length < MOST_RESULTS) results.push(editResult(result, changes));
      },
    },
    options,
  );
  const { selection: words, toolVersion, startedAt, durationMs, interrupted, counts } = report;
  const { failures, skipped, notices, unmet, error } = report;
  const others = groups.others
    ? [`${groups.others} more tenants, each with changes of its own, are not listed`]
    : [];
  return {
    verb: name,
    selection: words,
    toolVersion,
    startedAt,
    durationMs,
    interrupted,
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
    skipped,
    notices: [...notices, ...others],
    ...(unmet === undefined ? {} : { unmet }),
    ...(byName ? { tenants: results } : {}),
    ...(error ? { error } : {}),
  };
}

const OUTCOME: Partial<Record<Outcome, EditResult['outcome']>> = {
  migrated: 'changed',
  pending: 'changed',
  current: 'unchanged',
  busy: 'busy',
  skipped: 'skipped',
};

function editResult({ tenant, outcome, error, reason }: TenantResult, changes: HistoryChange[]): EditResult {
  return {
    tenant,
    outcome: OUTCOME[outcome] ?? 'failed',
    changes,
    ...(error ? { error } : {}),
    ...(reason === undefined ? {} : { reason }),
  };
}
