import { MpmError } from '../../errors.ts';
import type { Connection } from '../../postgres/connection.ts';
import { SESSION_SETTINGS } from '../../postgres/settings.ts';
import { SQLSTATE, isServerError } from '../../postgres/sqlstate.ts';
import { type HistoryPosition, headIs, unmoved } from '../history/fence.ts';
import {
  type HistoryTable,
  TOOK,
  claimAgain,
  claimDown,
  deleteReverted,
  insertApplied,
  insertClaim,
  recordApplied,
} from '../history/history.ts';
import { lockTable, tryLock } from '../history/lock-sql.ts';
import type { HistoryRow } from '../history/state.ts';
import { isUntrusted, refuseUntrusted } from '../history/trust.ts';
import { type Migration, type ModuleScript, type Script, runnable } from '../migration.ts';
import { inModuleTurn } from '../module/module-process.ts';
import {
  type BatchEntry,
  MOVED,
  type MigrationContext,
  RELEASE,
  RESTORE,
  SAVEPOINT,
  type Timeouts,
  type TransactionEntry,
  beginWith,
  composeBatch,
  enter,
  setTimeouts,
} from './batch.ts';
import { NotRecorded, behindCarried } from './carrier.ts';
import { escaped, failure, recordEscape, swallowed, withHolders } from './failure.ts';
import { watchLocks } from './interrupt.ts';
import { pause } from './lock.ts';
import {
  type MigrationOutcome,
  endsOf,
  isEscape,
  outcomeOf,
  outcomeOfEntry,
  outcomesOf,
} from './outcomes.ts';

/** What one migration does to the history's surroundings. */
interface Bounds {
  /** Under the lock, before anything is run, the history must still be the one that this was planned from. */
  position: HistoryPosition;
  /** What comes first then. */
  before?: readonly string[];
  /** Marks the head stamp open, in the first transaction of a message that does not end the work. */
  open?: string | undefined;
  /** In the transaction that ends the work: writes the head stamp. */
  after: readonly string[];
  /** The migration whose row is the last one then, where this attempt has applied it just before. */
  follows?: Migration | undefined;
}

/** A migration to be applied: at the next position, or on the row that an earlier attempt left. */
export interface Application extends Bounds {
  migration: Migration;
  at: HistoryRow | number;
}

/** A migration to be taken back. */
export interface Reversion extends Bounds {
  migration: Migration;
  script: Script;
  row: HistoryRow;
}

/**
 * Applies migrations one after the other, each in a transaction of its own with its row, both or neither (engine
 * 1, 2): SQL migrations in one message, a module by itself. What became of them, up to the first that was not done.
 * Throws MpmError when the connection is lost: then none of it is known.
 */
export async function applyInTransaction(
  context: MigrationContext,
  applications: readonly Application[],
): Promise<MigrationOutcome[]> {
  const entries = applications.map((each, index) => entryUp(context, each, applications[index - 1]));
  const settled = await runBatch(context, entries);
  const last = settled.at(-1);
  if (last && 'error' in last && isEscape(last.error) && !context.connection.lost) {
    const escapee = applications[settled.length - 1]?.migration;
    // What it committed is there: the next run must not take it for pending.
    if (escapee) await recordEscape(context, escapee, last.error.message, applications[0]?.open);
  }
  return settled;
}

/** Runs one migration's `down` and takes its row out, both or neither (engine 6). */
export function revertInTransaction(
  context: MigrationContext,
  { script, row, position, before = [], open, after }: Reversion,
): Promise<MigrationOutcome[]> {
  const { history } = context;
  const entry = entryOf(context, row.name, script, {
    expected: position,
    claim: [...before, claimDown(history, row)],
    finish: deleteReverted(history, row.name),
    after: after.length || !open ? after : [open],
  });
  return runBatch(context, [entry]);
}

function entryUp(
  context: MigrationContext,
  application: Application,
  previous?: Application,
): TransactionEntry {
  const { migration, at, position, before = [] } = application;
  const { history, applier } = context;
  // What was begun under the lock that is kept has marked the stamp already.
  const open = context.lock.isHeld ? undefined : application.open;
  const { name } = migration;
  const up = runnable(migration);
  const after = application.after.length || !open ? application.after : [open];
  // While the attempt keeps the lock, its message goes on from the one before.
  const goesOn = context.lock.isHeld && up.kind === 'sql';
  const expected =
    previous || goesOn
      ? fenceBehind(history, application, previous?.migration ?? application.follows)
      : position;
  if (typeof at !== 'number') {
    const claim = [...before, claimAgain(history, migration, at, applier)];
    return entryOf(context, name, up, { expected, claim, finish: recordApplied(history, name), after });
  }
  if (up.kind === 'module') {
    // It can do more than its transaction holds, and then be killed: its claim says so afterwards.
    const claim = [...before, insertClaim(history, migration, at, applier)];
    return entryOf(context, name, up, { expected, claim, finish: recordApplied(history, name), after });
  }
  const place = typeof previous?.at === 'object' ? previous.at.position : previous?.at;
  const finish = insertApplied(history, migration, at, applier, place);
  // SQL leaves all of itself or nothing: its row is written once, at its end.
  return entryOf(context, name, up, { expected, claim: before, finish, after });
}

/** Between two migrations under one lock the last row is enough; in front of the stamp it is all rows. */
export function fenceBehind(
  history: HistoryTable,
  { position, after }: Pick<Application, 'position' | 'after'>,
  previous: Migration | undefined,
): string {
  return after.length || !previous ? unmoved(history, position) : headIs(history, position.last, previous);
}

/** What a unit does to the history: before the migration, behind it, and to what surrounds the history. */
interface Records {
  /** What the history must be; for one behind another in its message, the statement that fails unless it is. */
  expected: HistoryPosition | string;
  claim: readonly string[];
  finish: string;
  after: readonly string[];
}

function entryOf(
  context: MigrationContext,
  name: string,
  script: Script,
  records: Records,
): TransactionEntry {
  const { expected, claim, finish, after } = records;
  const { opening, closing } = context.settings;
  const timeouts = setTimeouts(context.timeouts, script.options);
  const mode = script.kind === 'sql' ? script.mode : undefined;
  const begin = [
    beginWith(mode),
    ...opening,
    ...timeouts,
    // One snapshot for the whole transaction is taken by the next statement: nobody may write to the history before it ends.
    ...(mode === undefined ? [] : [lockTable(context.history)]),
    context.lock.guard,
  ];
  const front = [...claim, SAVEPOINT, ...SESSION_SETTINGS];
  return {
    context,
    name,
    script,
    ...(typeof expected === 'string'
      ? { front: [...begin, expected, ...front] }
      : { front, begin, position: expected }),
    closing: [...RESTORE, ...closing, RELEASE, finish, ...after, 'commit'],
  };
}

/** Before its transaction begins: one that waits holds no lock of a database meanwhile. */
function runBatch(
  context: MigrationContext,
  entries: readonly TransactionEntry[],
): Promise<MigrationOutcome[]> {
  const script = entries[0]?.script;
  const serial = script?.kind === 'module' && script.serial;
  return serial ? inModuleTurn(() => runNow(context, entries)) : runNow(context, entries);
}

async function runNow(
  context: MigrationContext,
  entries: readonly TransactionEntry[],
  tries = 0,
): Promise<MigrationOutcome[]> {
  const [first] = entries;
  if (!first) return [];
  const { connection, history } = context;
  const watch = watchLocks(context.target, shortestLockTimeout(context.timeouts, entries));
  const { carrier, lock } = context;
  let entered = false;
  let inFront = '';
  let isBehind = false;
  const answers = () => (isBehind ? (behindCarried(connection.answered) ?? []) : connection.answered);
  try {
    await lock.ensure();
    if (first.begin && first.position) {
      await carrier.settle();
      await enter(context, first.begin, first.position);
    } else await context.admit?.();
    entered = true;
    await (first.script.kind === 'sql'
      ? carrier.inFront((carried) => {
          isBehind = carried !== '';
          inFront = first.begin ? '' : `${labelOf(first)}${carried}`;
          return connection.run([inFront, ...composeBatch(entries).parts], TOOK);
        })
      : runEntry(first, first.script));
    const ends = endsOf(answers());
    // COMMIT of an aborted transaction raises no error; its command tag says ROLLBACK (engine 4).
    const aborted = entries[ends.length];
    if (aborted) throw swallowed(aborted);
    return outcomesOf(entries, ends);
  } catch (error) {
    if (error instanceof NotRecorded) throw error;
    const answered = entered ? answers() : [];
    const unread = entered && answered.length === 0 && isServerError(error);
    await rollBack(connection);
    if (error === MOVED) return [{ name: first.name, outcome: 'moved' }];
    // The server reads a whole message before it begins with it: what it cannot read need not be the first one's.
    if (unread && entries.length > 1 && !connection.lost) return await runNow(context, [first]);
    if (!entered && isTableBusy(error, first.script) && tries < MOST_TRIES) {
      const { rows } = await connection.raw(`select ${tryLock(history)} as free`);
      if (!context.lock.isHeld && rows[0]?.['free'] === false)
        return [{ name: first.name, outcome: 'locked' }];
      // Who had it was done in between.
      await pause(tries);
      return await runNow(context, entries, tries + 1);
    }
    const ends = endsOf(answered);
    const done = outcomesOf(entries, ends);
    const entry = entries[done.length];
    if (!entry || connection.lost) throw error instanceof MpmError ? error : failure(error, first);
    if (isUntrusted(error)) {
      await refuseUntrusted(connection, history);
      return [...done, { name: entry.name, outcome: 'moved' }];
    }
    const outcome = entered ? outcomeOf(error, history) : outcomeOfEntry(error);
    if (outcome) return [...done, { name: entry.name, outcome }];
    const completed = answered.length - 1 - (ends.at(-1)?.at ?? -1);
    const place = entered ? placeOf(entries, done.length, completed, inFront) : undefined;
    const failed = error instanceof MpmError ? error : failure(error, entry, place);
    return [...done, { name: entry.name, error: withHolders(failed, await watch.stop()) }];
  } finally {
    connection.sessionChanged();
    await watch.stop();
  }
}

/** pg_stat_activity shows the first kilobyte of a message, and what stands in front of a migration here is longer. */
function labelOf({ name, script }: BatchEntry): string {
  const text = script.kind === 'sql' ? script.sql.slice(0, 1000).replaceAll(/\s+/g, ' ').trim() : '';
  return `-- ${name}: ${text.slice(0, 300)}\n`;
}

function shortestLockTimeout({ lockTimeout }: Timeouts, entries: readonly TransactionEntry[]): number {
  return Math.min(...entries.map(({ script }) => script.options.lockTimeout ?? lockTimeout));
}

async function runEntry(entry: BatchEntry, script: ModuleScript): Promise<void> {
  const { name, context } = entry;
  const { connection } = context;
  await connection.raw(entry.front.join(';\n'));
  connection.lastError = undefined;
  const { runModule } = await import('../module/module-run.ts');
  const notices = await runModule({ name, script, connection, inTransaction: true, watch: context.modules });
  if (connection.transaction === 'failed') throw swallowed(entry);
  if (connection.transaction === 'idle' && !connection.lost) throw escaped(entry);
  entry.isClosing = true;
  await connection.raw(entry.closing.join(';\n'));
  for (const notice of notices) context.notice(notice);
}

/** Where the unit's part of the message is, and how much of it was done. */
function placeOf(entries: readonly TransactionEntry[], index: number, completed: number, inFront: string) {
  if (entries[index]?.script.kind !== 'sql') return { message: '', prefix: 0, completed };
  const { parts, starts } = composeBatch(entries);
  const message = [inFront, ...parts].join('');
  return { message, prefix: inFront.length + (starts[index] ?? 0), completed };
}

/** {@link lockTable} was refused. */
function isTableBusy(error: unknown, script: Script): boolean {
  const locks = script.kind === 'sql' && script.mode !== undefined;
  return locks && isServerError(error) && error.code === SQLSTATE.lockNotAvailable;
}

/** So often the table is tried for when nobody migrates: autovacuum has it for a moment. */
const MOST_TRIES = 5;

async function rollBack(connection: Connection): Promise<void> {
  if (connection.lost) return;
  // A connection that breaks here has nothing to roll back any more.
  await connection.query('rollback').catch(() => undefined);
}
