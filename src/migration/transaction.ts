import { MpmError } from '../errors.ts';
import type { Connection } from '../postgres/connection.ts';
import { isServerError, SQLSTATE } from '../postgres/sqlstate.ts';
import { escaped, failure, swallowed, withHolders } from './failure.ts';
import {
  claimAgain,
  claimDown,
  finishClaim,
  finishDown,
  GUARD,
  insertClaim,
  lockGuard,
  recordFailure,
  type RowToRevert,
} from './history.ts';
import type { Migration, ModuleScript, Script, SqlScript } from './migration.ts';
import type { HistoryRow } from './state.ts';
import { BEGIN, type Bench, compose, RESTORE, setTimeouts, type Unit } from './unit.ts';
import { watchLocks } from './watch.ts';

/**
 * `done`, or why nothing was done: `locked`, another runner is at work here; `moved`, another runner changed the
 * history since it was read.
 */
export type UnitOutcome = 'done' | 'locked' | 'moved';

/**
 * Applies one migration and records it, both or neither (engine 1): at the next position, or on the row that an
 * earlier attempt left. Throws MpmError; its `cause` is what was thrown.
 */
export async function applyInTransaction(
  bench: Bench,
  migration: Migration,
  at: HistoryRow | number,
  stamp: string | undefined,
): Promise<UnitOutcome> {
  const { history, applier } = bench;
  const position = typeof at === 'number' ? at : at.position;
  const claim =
    typeof at === 'number'
      ? insertClaim(history, migration, at, applier)
      : claimAgain(history, migration, at, applier);
  const record = { claim, finish: finishClaim(history, migration.name, position), stamp };
  try {
    return await runUnit(bench, migration.up, migration.name, record);
  } catch (error) {
    // What it committed is there: the next run must not take it for pending.
    const escape = error instanceof MpmError && error.code === 'MIGRATION_ESCAPED' && !bench.connection.lost;
    if (escape) await bench.connection.query(recordFailure(history, migration, applier, error.message));
    throw error;
  }
}

/** Runs one migration's `down` and takes its row out, both or neither (engine 6). */
export function revertInTransaction(
  bench: Bench,
  script: Script,
  row: RowToRevert,
  stamp: string | undefined,
): Promise<UnitOutcome> {
  const { history } = bench;
  return runUnit(bench, script, row.name, {
    claim: claimDown(history, row),
    finish: finishDown(history, row),
    stamp,
  });
}

/** What a unit does to the history: before the migration, after it, and to the head stamp. */
interface Record {
  claim: string;
  finish: string;
  stamp: string | undefined;
}

async function runUnit(bench: Bench, script: Script, name: string, record: Record): Promise<UnitOutcome> {
  const { claim, finish, stamp } = record;
  const opening = [BEGIN, setTimeouts(bench.timeouts, script.options), lockGuard(bench.history), claim];
  const closing = [...RESTORE, finish, ...(stamp ? [stamp] : []), 'commit'];
  const unit = { bench, name, opening, closing };
  const watch = watchLocks(bench.target, script.options.lockTimeout ?? bench.timeouts.lockTimeout);
  try {
    await (script.kind === 'sql' ? sendSql(unit, script) : runModule(unit, script));
    return 'done';
  } catch (error) {
    const { completed } = bench.connection;
    const outcome = outcomeOf(error, completed === opening.length - 1);
    await rollBack(bench.connection);
    if (outcome) return outcome;
    if (error instanceof MpmError) throw error;
    throw withHolders(failure(error, unit, script, completed), await watch.stop());
  } finally {
    await watch.stop();
  }
}

/** The whole unit in one message: one round trip, and a failing statement ends the rest of it. */
async function sendSql(unit: Unit, script: SqlScript): Promise<void> {
  const { message } = compose(unit, script);
  const { results } = await unit.bench.connection.send(message);
  assertCommitted(unit, results.at(-1)?.command);
}

async function runModule(unit: Unit, script: ModuleScript): Promise<void> {
  const { connection } = unit.bench;
  await connection.send(unit.opening.join(';\n'));
  connection.lastError = undefined;
  await script.run(await connection.kysely({ inTransaction: true }));
  if (connection.transaction === 'failed') throw swallowed(unit);
  if (connection.transaction === 'idle' && !connection.lost) throw escaped(unit);
  const { results } = await connection.send(unit.closing.join(';\n'));
  assertCommitted(unit, results.at(-1)?.command);
}

/** COMMIT of an aborted transaction raises no error; its command tag says ROLLBACK (engine 4). */
function assertCommitted(unit: Unit, command: string | undefined): void {
  if (command !== 'COMMIT') throw swallowed(unit);
}

function outcomeOf(error: unknown, atClaim: boolean): UnitOutcome | undefined {
  if (!isServerError(error)) return undefined;
  if (error.code === SQLSTATE.invalidText && error.message.includes(GUARD.locked)) return 'locked';
  if (error.code === SQLSTATE.invalidText && error.message.includes(GUARD.moved)) return 'moved';
  return error.code === SQLSTATE.uniqueViolation && atClaim ? 'moved' : undefined;
}

async function rollBack(connection: Connection): Promise<void> {
  if (connection.lost) return;
  // A connection that breaks here has nothing to roll back any more.
  await connection.query('rollback').catch(() => undefined);
}
