import { MpmError } from '../../errors.ts';
import { databaseFields, isServerError, isTransient, SQLSTATE } from '../../postgres/sqlstate.ts';
import { type MigrationContext, RESTORE, setTimeouts } from '../apply/batch.ts';
import { pause } from '../apply/lock.ts';
import { GUARD } from '../history/history.ts';
import type { ModuleScript, Script, SqlScript } from '../migration.ts';
import { inModuleTurn } from '../module/module-process.ts';
import { locate, locateInModule } from '../sql/locate.ts';
import type { Step } from '../sql/split.ts';
import type { HeldLock } from './held-lock.ts';
import { dropInvalidIndex, invalidIndex } from './look-up.ts';
import { forgetAttempt, recordBegun, recordDone, recordStop } from './progress.ts';

/** A script in work outside a transaction. */
export interface StatementRun {
  context: MigrationContext;
  lock: HeldLock;
  /** Of a step that fails for what passes by itself. */
  retries: number;
  name: string;
  script: Script;
  /** None of a module, which is one step by itself. */
  steps: readonly Step[] | undefined;
  /** How many steps an earlier attempt has done. */
  done: number;
  /** Nobody has tried it before: where nothing of it was kept, its row goes. */
  isFirst: boolean;
  reverting: boolean;
}

/**
 * Runs a script from its first open step on, each step with the record of its progress, and leaves the session as it was.
 * @returns the record that the last step still owes
 * @throws MpmError MIGRATION_FAILED, CONNECTION_LOST: where it stopped, and what was kept
 */
export async function runSteps(run: StatementRun): Promise<string[]> {
  const { connection, history } = run.context;
  let current = run.done;
  let owed: string[] = [];
  try {
    if (run.script.kind === 'module' && run.done === 0) {
      const { script } = run;
      await (script.serial ? inModuleTurn(() => runOutside(run, script)) : runOutside(run, script));
      owed = [recordDone(history, run.name, 1)];
    }
    for (const step of run.steps?.slice(run.done) ?? []) {
      await run.lock.ensure();
      owed = await runStep(run, step, current + 1, owed);
      current += 1;
    }
    await run.lock.ensure();
    return owed;
  } catch (error) {
    if (connection.lost) throw stopped(run, current, error);
    if (error instanceof MpmError && error.code === 'INTERRUPTED') {
      // Nothing more is sent, but that the last one is done: the row is still this backend's.
      if (owed.length) await connection.send(owed.join(';\n'));
      throw stopped(run, current, error);
    }
    // Nothing was kept: as if it had never been tried.
    const clean = run.isFirst && current === 0 && run.steps?.[0]?.nature.bare === false;
    const message = `${run.reverting ? 'down: ' : ''}${error instanceof Error ? error.message : String(error)}`;
    const record = clean ? forgetAttempt(history, run.name) : recordStop(history, run.name, message);
    await connection.query(record);
    throw stopped(run, current, error, clean);
  } finally {
    if (!connection.lost) await connection.raw(RESTORE.join(';')).catch(() => undefined);
    connection.sessionChanged();
  }
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
 * @param number from 1
 * @param owed records of the step before
 * @returns records that go in front of the next one's, or of the end
 */
async function runStep(run: StatementRun, step: Step, number: number, owed: string[]): Promise<string[]> {
  const { connection, history } = run.context;
  if (step.nature.bare) return runBare(run, step, number, owed);
  if (owed.length) await connection.send(owed.join(';\n'));
  // What the migration set for its session is its statements', not ours: in the rest of this message it is set aside.
  const record = [...run.context.settings.closing, recordDone(history, run.name, number)].join(';\n');
  const parts = [prefixOf(run), textOf(run, step), `\n;${record}`];
  try {
    await untilHad(run, () => connection.run(parts));
    return [];
  } catch (error) {
    if (!isServerError(error) || error.code !== SQLSTATE.activeTransaction) throw error;
    return runBare(run, step, number, []);
  }
}

async function runBare(run: StatementRun, step: Step, number: number, owed: string[]): Promise<string[]> {
  const { connection, history } = run.context;
  const { trace } = step.nature;
  if (trace.kind === 'index') await dropInvalidIndex(connection, trace);
  const begun = recordBegun(history, run.name, number);
  await connection.send([...owed, ...timeoutsOf(run, step), begun].join(';\n'));
  await connection.run([textOf(run, step)]);
  const invalid = trace.kind === 'index' && (await invalidIndex(connection, trace));
  if (invalid) throw new Error(`index ${invalid} is invalid: an earlier CREATE INDEX CONCURRENTLY failed`);
  return [recordDone(history, run.name, number)];
}

/** For the session, because it has no transaction: what the file itself says, but for what has to wait for everybody. */
function timeoutsOf({ script: { options } }: StatementRun, { nature }: Step): string[] {
  const { lockTimeout = 0, statementTimeout = 0 } = nature.patient ? {} : options;
  return [`set lock_timeout = ${lockTimeout}`, `set statement_timeout = ${statementTimeout}`];
}

function textOf({ script }: StatementRun, { start, end }: Step): string {
  return (script as SqlScript).sql.slice(start, end);
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

function stopped(run: StatementRun, index: number, error: unknown, clean = false): MpmError {
  const { name, steps, script } = run;
  const resume = `Then resume: mpm-migrate resolve ${name} --tenant {tenant} --retry`;
  const step = steps?.[index];
  const known = error instanceof MpmError ? error : undefined;
  const excerpt = step
    ? locateStep(run, step, error)
    : script.kind === 'module'
      ? (known?.excerpt ?? locateInModule(script, error))
      : undefined;
  const server = isServerError(error) ? error : undefined;
  const place = steps ? `it stopped at statement ${index + 1} of ${steps.length}` : 'it stopped halfway';
  const lost = run.context.connection.lost !== undefined;
  const message = messageOf(error);
  return new MpmError(
    lost ? 'CONNECTION_LOST' : known?.code === 'INTERRUPTED' ? known.code : 'MIGRATION_FAILED',
    lost ? `the connection was lost while ${run.name} ran: ${message}` : message,
    {
      migration: run.name,
      // A retry by the lanes would be refused as interrupted: what is kept is resumed on request only.
      cause: clean ? error : undefined,
      aftermath: clean ? 'nothing was kept' : `${place}; earlier work was kept`,
      ...(clean ? {} : { hint: `${known?.hint ?? 'Fix the cause.'}\n${resume}` }),
      ...(excerpt && { excerpt }),
      ...(server ? { database: databaseFields(server) } : known?.database && { database: known.database }),
    },
  );
}

function messageOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.includes(GUARD.moved)
    ? 'the history was changed meanwhile: this attempt no longer holds it'
    : message;
}

function locateStep(run: StatementRun, step: Step, error: unknown) {
  if (run.script.kind !== 'sql') return undefined;
  const script: SqlScript = run.script;
  const text = textOf(run, step);
  const prefix = step.nature.bare ? '' : prefixOf(run);
  const server = isServerError(error) ? error : undefined;
  const within = { ...script, sql: text, start: script.start + step.start };
  return locate(within, {
    message: prefix + text,
    prefix: prefix.length,
    position: server?.position,
    where: server?.where,
    completed: 0,
  });
}
