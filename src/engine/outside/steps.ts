import { MpmError } from '../../errors.ts';
import type { Result } from '../../postgres/message.ts';
import { SQLSTATE, isServerError, isTransient } from '../../postgres/sqlstate.ts';
import { BEGIN, RESTORE, setTimeouts } from '../apply/batch.ts';
import { behindCarried } from '../apply/carrier.ts';
import { pause } from '../apply/lock.ts';
import { GUARD, addProgressColumns } from '../history/history.ts';
import type { ModuleScript } from '../migration.ts';
import { inModuleTurn } from '../module/module-process.ts';
import type { Step } from '../sql/split.ts';
import { dropInvalidIndex } from './look-up.ts';
import { forgetAttempt, recordDone, recordProgress, recordStop } from './progress.ts';
import { INVALID, InvalidIndex, type Recording, owedBy, record, recordOwed, recording } from './record.ts';
import { type Progress, type StatementRun, doneOf, textOf } from './statement-run.ts';
import { stopped } from './stopped.ts';

/**
 * Claims a script, runs it from its first open step on, each step with the record of its progress, and leaves the session
 * as it was.
 * @returns `moved` where it could not be claimed
 * @throws MpmError MIGRATION_FAILED, CONNECTION_LOST: where it stopped, and what was kept
 */
export async function runSteps(run: StatementRun): Promise<'done' | 'moved'> {
  const { connection, lock, carrier } = run.context;
  const { script } = run;
  const at: Progress = { done: run.done, recorded: run.done, inFront: '', answered: 0 };
  let restored = false;
  try {
    const first = await claim(run);
    if (first === 'moved') return 'moved';
    try {
      if (script.kind === 'module' && run.done === 0) {
        await (script.serial ? inModuleTurn(() => runOutside(run, script)) : runOutside(run, script));
        at.done = 1;
      }
      for (const step of run.steps?.slice(run.done) ?? []) {
        await lock.ensure();
        await runStep(run, step, at, at.done === run.done ? first : undefined);
        at.done += 1;
      }
      await lock.ensure();
    } catch (error) {
      throw await stop(run, at, error);
    }
    const ending = { ...owedBy(run, at), statements: run.finish(doneOf(at)), sets: RESTORE };
    // The record asks itself.
    const onSent = (): void => void (lock.expects = undefined);
    restored = true;
    if (run.carries) {
      carrier.carry({
        name: run.name,
        sql: recording(run, ending),
        onSent,
        send: () => end(run, at, ending),
      });
    } else {
      onSent();
      await end(run, at, ending);
    }
    return 'done';
  } finally {
    if (!connection.lost && !restored) await connection.raw(RESTORE.join(';')).catch(() => undefined);
    connection.sessionChanged();
  }
}

/** Records the end by itself. */
export async function end(run: StatementRun, at: Progress, ending: Recording): Promise<void> {
  const { connection } = run.context;
  try {
    await record(run, ending);
  } catch (error) {
    const why = await stop(run, at, error);
    if (!connection.lost) await connection.raw(RESTORE.join(';')).catch(() => undefined);
    throw why;
  } finally {
    connection.sessionChanged();
  }
}

/** @returns what the server said when it was claimed, with its first statement begun if that one is bare */
export async function claim(run: StatementRun): Promise<readonly Result[] | 'moved'> {
  const { connection, history } = run.context;
  const step = run.steps?.[run.done];
  const isBare = step ? step.nature.bare : run.script.kind === 'module' && run.done === 0;
  const statements = run.claim(isBare ? run.done + 1 : undefined);
  const claiming: Recording = {
    front: run.isNew ? [connection.heldSettings] : [],
    statements,
    ...(step && isBare ? beginningOf(run, step) : {}),
  };
  const sent = async (): Promise<readonly Result[] | 'moved'> => {
    try {
      return await claimBehindCarried(run, claiming);
    } catch (error) {
      if (!isServerError(error)) throw error;
      if (error.code === SQLSTATE.uniqueViolation || error.message.includes(GUARD.moved)) return 'moved';
      throw error;
    }
  };
  try {
    return await sent();
  } catch (error) {
    // A history that 0.1.0 made gets the columns that it lacks.
    if (!isServerError(error) || error.code !== SQLSTATE.undefinedColumn) throw error;
    await connection.send(addProgressColumns(history));
    return sent();
  }
}

async function claimBehindCarried(run: StatementRun, claiming: Recording): Promise<readonly Result[]> {
  const { connection, carrier, lock } = run.context;
  const sql = recording(run, claiming);
  try {
    const { results } = await carrier.inFront((carried) => {
      lock.expects = run.expects;
      return connection.raw(`${carried}${sql}`);
    });
    return results;
  } catch (error) {
    if (!connection.lost && connection.transaction !== 'idle') await connection.raw('rollback');
    throw error;
  }
}

/** What is recorded where it stopped; the error that says so. */
async function stop(run: StatementRun, at: Progress, error: unknown): Promise<MpmError> {
  const { connection, history } = run.context;
  if (connection.lost) return stopped(run, at, error);
  const isOver = error instanceof MpmError && error.code === 'INTERRUPTED';
  let why = error;
  try {
    if (!(error instanceof InvalidIndex)) await recordOwed(run, at);
  } catch (owed) {
    if (owed instanceof InvalidIndex) why = owed;
  }
  if (why instanceof InvalidIndex) at.done = at.recorded;
  // Nothing more is sent, but that the last one is done: the row is still this backend's.
  if (isOver) return stopped(run, at, why);
  // Nothing was kept: as if it had never been tried.
  const clean = run.isFirst && at.done === 0 && run.steps?.[0]?.nature.bare === false;
  const message = `${run.reverting ? 'down: ' : ''}${why instanceof Error ? why.message : String(why)}`;
  const mark = clean ? forgetAttempt(history, run.name) : recordStop(history, run.name, message);
  await connection.query(mark);
  return stopped(run, at, why, clean);
}

async function runOutside({ name, context }: StatementRun, script: ModuleScript): Promise<void> {
  const { connection, modules } = context;
  const { runModule } = await import('../module/module-run.ts');
  let notices: string[];
  try {
    notices = await runModule({ name, script, connection, inTransaction: false, watch: modules });
  } catch (error) {
    if (connection.transaction !== 'idle' && !connection.lost) await connection.query('rollback');
    throw error;
  }
  if (connection.transaction !== 'idle') {
    await connection.query('rollback');
    throw new Error('it left a transaction open, which was rolled back');
  }
  for (const notice of notices) context.notice(notice);
}

/**
 * A statement that can share a transaction with the record of its progress does; then both happen or neither. What it
 * can share none with is the server's to say: nothing has happened by then.
 * @param begun what the server said when it was recorded that the step is begun, where that was done with the claim
 */
async function runStep(
  run: StatementRun,
  step: Step,
  at: Progress,
  begun: readonly Result[] | undefined,
): Promise<void> {
  if (step.nature.bare) return runBare(run, step, at, begun);
  const { connection, history, settings } = run.context;
  const number = at.done + 1;
  // What the migration set for its session is its statements', not ours: in the rest of this message it is set aside.
  const closing = [...settings.closing, recordDone(history, run.name, number)];
  const behind = [...closing, ...(step.isBlock ? ['commit'] : [])].join(';\n');
  const send = async (): Promise<void> => {
    const isOwed = at.recorded < at.done;
    const owed = isOwed ? `${owedRecord(run, at)};\n` : '';
    at.inFront = `${owed}${step.isBlock ? `${BEGIN};\n` : ''}${prefixOf(run)}`;
    try {
      await connection.run([at.inFront, textOf(run, step), `\n;${behind}`]);
    } catch (error) {
      at.answered = connection.answered.length;
      if (connection.lost) throw error;
      if (!isOwed || behindCarried(connection.answered)) {
        at.recorded = at.done;
        if (step.isBlock && connection.transaction !== 'idle') await connection.raw('rollback');
        throw error;
      }
      await connection.raw('rollback');
      await recordOwed(run, at);
      return send();
    }
  };
  try {
    await untilHad(run, send);
    at.recorded = number;
  } catch (error) {
    if (!isServerError(error) || error.code !== SQLSTATE.activeTransaction) throw error;
    await runBare(run, step, at, undefined);
  }
}

function owedRecord(run: StatementRun, at: Progress): string {
  const statements = [recordProgress(run.context.history, run.name, doneOf(at))];
  return recording(run, { ...owedBy(run, at), statements });
}

async function runBare(
  run: StatementRun,
  step: Step,
  at: Progress,
  begun: readonly Result[] | undefined,
): Promise<void> {
  const { connection, history } = run.context;
  const { trace } = step.nature;
  const results =
    begun ??
    (await record(run, {
      ...owedBy(run, at),
      ...beginningOf(run, step),
      statements: [recordProgress(history, run.name, doneOf(at), at.done + 1)],
    }));
  at.recorded = at.done;
  at.inFront = '';
  const isThere = results.some(({ rows }) => rows[0]?.[INVALID] === true);
  if (trace.kind === 'index' && isThere) await dropInvalidIndex(connection, trace);
  await connection.run([textOf(run, step)]);
}

/** What is asked and set before a bare step. */
function beginningOf(run: StatementRun, step: Step): Pick<Recording, 'coming' | 'sets'> {
  const { trace } = step.nature;
  return { ...(trace.kind === 'index' && { coming: trace }), sets: timeoutsOf(run, step) };
}

/** For the session, because it has no transaction: what the file itself says, but for what has to wait for everybody. */
function timeoutsOf({ script: { options } }: StatementRun, { nature }: Step): string[] {
  const { lockTimeout = 0, statementTimeout = 0 } = nature.patient ? {} : options;
  return [`set lock_timeout = ${lockTimeout}`, `set statement_timeout = ${statementTimeout}`];
}

/** What a step is sent behind. */
function prefixOf({ context, script }: StatementRun): string {
  return `${setTimeouts(context.timeouts, script.options).join(';\n')};\n`;
}

/** What passes by itself is tried again right here: earlier statements are committed, the attempt cannot start anew. */
async function untilHad(run: StatementRun, act: () => Promise<unknown>): Promise<void> {
  for (let tried = 0; ; tried += 1) {
    try {
      await act();
      return;
    } catch (error) {
      if (run.context.connection.lost || tried >= run.retries || !isTransient(error)) throw error;
      await pause(tried + 4);
    }
  }
}
