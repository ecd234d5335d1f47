import { MpmError } from '../../errors.ts';
import type { Result } from '../../postgres/message.ts';
import { SQLSTATE, isServerError } from '../../postgres/sqlstate.ts';
import { GUARD, type HistoryTable, TOOK } from '../history/history.ts';
import type { TransactionEntry } from './batch.ts';

/**
 * `done`, or why nothing was done: `locked`, another runner is at work here; `moved`, another runner changed the
 * history since it was read.
 */
export type EntryOutcome = 'done' | 'locked' | 'moved';

/** What became of one migration. */
export type MigrationOutcome =
  | { name: string; outcome: EntryOutcome; durationMs?: number | undefined }
  | { name: string; outcome?: never; error: unknown };

/** A migration's COMMIT among the results of a message: its index, and how long the migration took (ms). */
interface End {
  at: number;
  took: number | undefined;
}

/** Every COMMIT that has the row of a migration before it; another one is the migration's own (engine 5). */
export function endsOf(results: readonly Result[]): End[] {
  const ends: End[] = [];
  let row: Record<string, unknown> | undefined;
  for (const [at, { command, rows }] of results.entries()) {
    const last = rows.at(-1);
    if (last && TOOK in last) row = last;
    if (command !== 'COMMIT' || !row) continue;
    const took = row[TOOK];
    ends.push({ at, took: typeof took === 'number' ? took : undefined });
    row = undefined;
  }
  return ends;
}

export function outcomesOf(entries: readonly TransactionEntry[], ends: readonly End[]): MigrationOutcome[] {
  return entries
    .slice(0, ends.length)
    .map(({ name }, index) => ({ name, outcome: 'done', durationMs: ends[index]?.took }));
}

/** A history that is missing, or an older version's, is another one than was planned from. */
export function outcomeOfEntry(error: unknown): EntryOutcome | undefined {
  if (!isServerError(error)) return undefined;
  if (error.code === SQLSTATE.invalidText && error.message.includes(GUARD.locked)) return 'locked';
  const other: string[] = [SQLSTATE.undefinedColumn, SQLSTATE.undefinedTable, SQLSTATE.undefinedSchema];
  return other.includes(error.code) ? 'moved' : undefined;
}

export function outcomeOf(error: unknown, history: HistoryTable): EntryOutcome | undefined {
  if (!isServerError(error)) return undefined;
  if (error.code === SQLSTATE.invalidText && error.message.includes(GUARD.locked)) return 'locked';
  if (error.code === SQLSTATE.invalidText && error.message.includes(GUARD.moved)) return 'moved';
  const ours = error.schema === history.schema && error.table === history.table;
  return error.code === SQLSTATE.uniqueViolation && ours ? 'moved' : undefined;
}

export function isEscape(error: unknown): error is MpmError {
  return error instanceof MpmError && error.code === 'MIGRATION_ESCAPED';
}
