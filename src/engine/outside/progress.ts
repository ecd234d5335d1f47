import { literal } from '../../postgres/quote.ts';
import {
  type Applier,
  backendOf,
  GUARD,
  guard,
  type HistoryTable,
  insertClaim,
  tableName,
} from '../history/history.ts';
import type { Migration } from '../migration.ts';
import type { HistoryRow } from '../history/state.ts';

/*
 * The history's row of a migration outside a transaction while it is at work (engine 40): which backend works at it,
 * how many statements are done, and which bare one was begun. Every record is that backend's alone: once another
 * attempt has taken the row over, a record of the earlier one fails, and with it the statement in its transaction.
 */

/** This backend, as the row names it. */
const OURS = {
  backend_pid: 'pg_catalog.pg_backend_pid()',
  backend_start:
    '(select a.backend_start from pg_catalog.pg_stat_get_activity(pg_catalog.pg_backend_pid()) a limit 1)',
};

/** How a script is going to be worked off. */
export interface StatementProgress {
  hashes: readonly string[];
  done: number;
  /** The number of the bare statement that is begun with the claim. */
  begun?: number | undefined;
  reverting: boolean;
}

function progressValues({ hashes, done, begun, reverting }: StatementProgress): Record<string, string> {
  return {
    statements: String(hashes.length),
    statements_done: String(done),
    statement_hashes: `array[${hashes.map(literal).join(', ')}]::text[]`,
    statement_begun: begun === undefined ? 'null' : String(begun),
    reverting: String(reverting),
    ...OURS,
  };
}

function progressColumns(progress: StatementProgress): string {
  return Object.entries(progressValues(progress))
    .map(([column, value]) => `${column} = ${value}`)
    .join(', ');
}

/** Inserts the row of a migration that is tried for the first time. */
export function claimFirst(
  history: HistoryTable,
  migration: Migration,
  position: number,
  applier: Applier,
  progress: StatementProgress,
): string {
  return insertClaim(history, migration, position, applier, progressValues(progress));
}

/** The row as it was read, and that no backend of an earlier attempt is at work. */
function unchanged(row: HistoryRow): string {
  const { position, name, state, statementsDone, statementBegun, reverting } = row;
  return `position = ${position} and name = ${literal(name)} and state = ${literal(state)} and statements_done = ${statementsDone}
  and (state in ('applied', 'baseline') or statement_begun is not distinct from ${statementBegun ?? 'null'}::int and reverting = ${reverting})
  and (state <> 'running' or ${backendOf('backend_pid', 'backend_start')} is null)`;
}

/** Takes over the row that an earlier attempt left. */
export function claimLeftover(
  history: HistoryTable,
  migration: Migration,
  row: HistoryRow,
  applier: Applier,
  progress: StatementProgress,
): string {
  const { run, toolVersion, actor } = applier;
  const checksum = progress.reverting ? '' : `checksum = ${literal(migration.checksum)}, `;
  return requireOne(`update ${tableName(history)} set ${checksum}state = 'running', ${progressColumns(progress)},
  started_at = pg_catalog.clock_timestamp(), finished_at = null, error = null, tool_version = ${literal(toolVersion)},
  run_id = ${literal(run)}, database_user = session_user, actor = ${literal(actor ?? null)}
where ${unchanged(row)}`);
}

/** Turns the row of an applied migration into that of one whose `down` is at work. */
export function claimReverting(history: HistoryTable, row: HistoryRow, progress: StatementProgress): string {
  return requireOne(`update ${tableName(history)} set state = 'running', error = null, ${progressColumns(progress)}
where ${unchanged(row)}`);
}

/** Of the attempt's own row. */
function ours(name: string): string {
  return `name = ${literal(name)} and state = 'running' and backend_pid = pg_catalog.pg_backend_pid()`;
}

/**
 * That so many statements are done, and which bare one is begun next: whether that was done is not known until the next
 * record.
 * @param done how many the row says before, and says now
 */
export function recordProgress(
  history: HistoryTable,
  name: string,
  done: { was: number; now: number },
  begun?: number,
): string {
  return requireOne(`update ${tableName(history)} set statements_done = ${done.now}, statement_begun = ${begun ?? 'null'}
where ${ours(name)} and statements_done = ${done.was}`);
}

export function recordDone(history: HistoryTable, name: string, number: number): string {
  return recordProgress(history, name, { was: number - 1, now: number });
}

/** The end of an `up`: the row is that of any applied migration. `done`: as for {@link recordProgress}. */
export function recordFinished(
  history: HistoryTable,
  name: string,
  done: { was: number; now: number },
): string {
  return requireOne(`update ${tableName(history)} set state = 'applied', finished_at = pg_catalog.clock_timestamp(),
  statements_done = ${done.now}, statement_begun = null, backend_pid = null, backend_start = null
where ${ours(name)} and statements_done = ${done.was}`);
}

/** The end of a `down`. */
export function deleteFinished(history: HistoryTable, name: string): string {
  return requireOne(`delete from ${tableName(history)} where ${ours(name)}`);
}

/** That it stopped, and why. An error of a bare statement says that its end is known. */
export function recordStop(history: HistoryTable, name: string, message: string): string {
  return `update ${tableName(history)} set state = 'failed', finished_at = pg_catalog.clock_timestamp(), statement_begun = null,
  backend_pid = null, backend_start = null, error = ${literal(message)} where ${ours(name)}`;
}

/** As if it had never been tried. */
export function forgetAttempt(history: HistoryTable, name: string): string {
  return `delete from ${tableName(history)} where ${ours(name)}`;
}

/** Fails with {@link GUARD}.moved unless the statement changes its row. */
function requireOne(statement: string): string {
  return `with changed as (${statement} returning 1)\n${guard('exists (select from changed)', GUARD.moved)}`;
}
