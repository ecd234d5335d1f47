import type { Result } from '../../postgres/message.ts';
import { isServerError } from '../../postgres/sqlstate.ts';
import { BEGIN } from '../apply/batch.ts';
import { GUARD, guard } from '../history/history.ts';
import type { ConcurrentIndex } from '../sql/nature.ts';
import { foundAt, hasInvalid, invalidIndex, lookFor } from './look-up.ts';
import { recordProgress } from './progress.ts';
import { type Progress, type StatementRun, doneOf } from './statement-run.ts';

/** A transaction that records, in one message. */
export interface Recording {
  /** What comes first in it. */
  front?: readonly string[];
  /** Indexes: that of a statement that is done, which must be valid; that of one to come, which must not be there invalid. */
  valid?: ConcurrentIndex | undefined;
  coming?: ConcurrentIndex | undefined;
  statements: readonly string[];
  /** What comes last in it, for the session. */
  sets?: readonly string[];
}

export function recording({ context }: StatementRun, what: Recording): string {
  const { front = [], valid, coming, statements, sets = [] } = what;
  const indexes = [valid, coming].flatMap((index) => index ?? []);
  const oidOf = (index: ConcurrentIndex) => foundAt(indexes.indexOf(index));
  const tables = indexes.map(({ table }) => table);
  return [
    BEGIN,
    ...front,
    // What the migration set for its session says which relations it means; in the rest it is set aside.
    ...(tables.length ? [lookFor(tables)] : []),
    ...context.settings.closing,
    ...(valid ? [guard(`not ${hasInvalid(oidOf(valid))}`, GUARD.invalid)] : []),
    ...statements,
    ...(coming ? [`select ${hasInvalid(oidOf(coming))} as ${INVALID}`] : []),
    ...sets,
    'commit',
  ].join(';\n');
}

/** Says of a table that it has an invalid index. */
export const INVALID = 'mpm_migrate_invalid';

/** @throws InvalidIndex */
export async function record(run: StatementRun, what: Recording): Promise<readonly Result[]> {
  const { connection } = run.context;
  const { valid } = what;
  try {
    const { results } = await connection.raw(recording(run, what));
    return results;
  } catch (error) {
    if (!connection.lost) await connection.raw('rollback');
    if (!valid || !isServerError(error) || !error.message.includes(GUARD.invalid)) throw error;
  }
  const invalid = await invalidIndex(connection, valid);
  if (invalid !== undefined) throw new InvalidIndex(invalid);
  // Another index of that table.
  return record(run, { ...what, valid: undefined });
}

export class InvalidIndex extends Error {
  constructor(index: string) {
    super(`index ${index} is invalid: an earlier CREATE INDEX CONCURRENTLY failed`);
  }
}

/** What of the step that was done last is to be looked at when it is recorded. */
export function owedBy({ steps }: StatementRun, { done, recorded }: Progress): Pick<Recording, 'valid'> {
  const trace = done > recorded ? steps?.[done - 1]?.nature.trace : undefined;
  return trace?.kind === 'index' ? { valid: trace } : {};
}

/** Records what is done. */
export async function recordOwed(run: StatementRun, at: Progress): Promise<void> {
  if (at.done === at.recorded) return;
  const statements = [recordProgress(run.context.history, run.name, doneOf(at))];
  await record(run, { ...owedBy(run, at), statements });
  at.recorded = at.done;
}
