import { MpmError, type SourceExcerpt } from '../errors.ts';
import type { Connection } from '../postgres/connection.ts';
import { databaseFields, isServerError, SQLSTATE } from '../postgres/sqlstate.ts';
import {
  type Applier,
  claimAgain,
  claimDown,
  finishClaim,
  finishDown,
  GUARD,
  type HistoryTable,
  insertClaim,
  lockGuard,
  recordFailure,
} from './history.ts';
import { locate, locateInModule } from './locate.ts';
import type { Migration, MigrationOptions, ModuleScript, Script, SqlScript } from './migration.ts';
import type { HistoryRow } from './state.ts';

/** Times in ms; 0 means none. */
export interface Timeouts {
  lockTimeout: number;
  statementTimeout: number;
  idleInTransactionTimeout: number;
}

export interface Bench {
  connection: Connection;
  history: HistoryTable;
  applier: Applier;
  timeouts: Timeouts;
}

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
  row: HistoryRow,
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
  try {
    await (script.kind === 'sql' ? sendSql(unit, script) : runModule(unit, script));
    return 'done';
  } catch (error) {
    const { completed } = bench.connection;
    const outcome = outcomeOf(error, completed === opening.length - 1);
    await rollBack(bench.connection);
    if (outcome) return outcome;
    throw error instanceof MpmError ? error : failure(error, unit, script, completed);
  }
}

interface Unit {
  bench: Bench;
  name: string;
  opening: string[];
  closing: string[];
}

// Explicit, because a role's default_transaction_* settings must not decide.
const BEGIN = 'begin isolation level read committed read write';

/** Puts the session back as it was (engine 7), inside the transaction because behind a pooler the next one is a stranger's. */
export const RESTORE = ['reset session authorization', 'reset role', 'reset all', 'discard temp'];

/** As SET LOCAL: session-level settings leak to strangers behind a pooler (engine 15). */
export function setTimeouts(timeouts: Timeouts, options: MigrationOptions): string {
  const setting = (name: string, ms: number) => `pg_catalog.set_config('${name}', '${ms}', true)`;
  return `select ${setting('lock_timeout', options.lockTimeout ?? timeouts.lockTimeout)}, ${setting('statement_timeout', options.statementTimeout ?? timeouts.statementTimeout)}, ${setting('idle_in_transaction_session_timeout', timeouts.idleInTransactionTimeout)}`;
}

/** The whole unit in one message: one round trip, and a failing statement ends the rest of it. */
async function sendSql(unit: Unit, script: SqlScript): Promise<void> {
  const { message } = compose(unit, script);
  const { results } = await unit.bench.connection.send(message);
  assertCommitted(unit, results.at(-1)?.command);
}

function compose(unit: Unit, script: SqlScript): { message: string; prefix: number } {
  const head = `${unit.opening.join(';\n')};\n`;
  // The line break ends a comment in the script's last line.
  return { message: `${head}${script.sql}\n;${unit.closing.join(';\n')}`, prefix: head.length };
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

function failure(error: unknown, unit: Unit, script: Script, completed: number): MpmError {
  const server = isServerError(error) ? error : undefined;
  if (server?.code === SQLSTATE.invalidText && server.message.includes(GUARD.escaped))
    return escaped(unit, error);
  if (server?.code === SQLSTATE.inFailedTransaction) return swallowed(unit);
  const { connection } = unit.bench;
  const message = error instanceof Error ? error.message : String(error);
  const facts = { migration: unit.name, cause: error, ...(server && { database: databaseFields(server) }) };
  if (connection.lost) {
    return new MpmError(
      'CONNECTION_LOST',
      `the connection was lost while ${unit.name} ran: ${message}`,
      facts,
    );
  }
  const excerpt =
    script.kind === 'sql' ? locateIn(unit, script, error, completed) : locateInModule(script, error);
  return new MpmError('MIGRATION_FAILED', message, {
    ...facts,
    aftermath: `${excerpt ? '' : stageOf(unit, script, completed)}the migration was rolled back`,
    ...(excerpt && { excerpt }),
    ...(server?.hint && { hint: server.hint }),
  });
}

/** Says when it failed, where the file has no place to show: deferred constraints fail at COMMIT. */
function stageOf(unit: Unit, script: Script, completed: number): string {
  if (script.kind === 'module') return completed === unit.closing.length - 1 ? 'it failed at COMMIT; ' : '';
  return completed < unit.opening.length ? 'it failed before its first statement; ' : 'it failed at COMMIT; ';
}

function locateIn(
  unit: Unit,
  script: SqlScript,
  error: unknown,
  completed: number,
): SourceExcerpt | undefined {
  // A syntax error anywhere in the message comes before its first statement, but with a position.
  if (!isServerError(error) || (completed < unit.opening.length && error.position === undefined))
    return undefined;
  const { message, prefix } = compose(unit, script);
  const { position, where } = error;
  return locate(script, { message, prefix, position, where, completed: completed - unit.opening.length });
}

function swallowed(unit: Unit): MpmError {
  const cause = unit.bench.connection.lastError;
  const what = cause instanceof Error ? `: ${cause.message}` : '';
  return new MpmError(
    'MIGRATION_SWALLOWED',
    `${unit.name} went on after one of its statements had failed${what}`,
    {
      migration: unit.name,
      cause,
      aftermath: 'the migration was rolled back',
      hint: 'A failed statement ends the transaction: let the error pass, or put a savepoint around that statement.',
      ...(isServerError(cause) && { database: databaseFields(cause) }),
    },
  );
}

function escaped(unit: Unit, cause?: unknown): MpmError {
  return new MpmError('MIGRATION_ESCAPED', `${unit.name} ended the transaction that it was given`, {
    migration: unit.name,
    cause,
    aftermath: 'what it committed was kept; it was not rolled back',
    hint: `Take COMMIT or ROLLBACK out of it, look at what it left, then: mpm-migrate resolve ${unit.name} --tenant … --applied|--rolled-back`,
  });
}
