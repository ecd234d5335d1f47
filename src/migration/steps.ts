import { MpmError } from '../errors.ts';
import { databaseFields, isServerError, isTransient } from '../postgres/sqlstate.ts';
import { recordStatement } from './history.ts';
import { dropInvalidIndex, invalidIndex } from './invalid-index.ts';
import { locate, locateInModule } from './locate.ts';
import { pause } from './lock.ts';
import type { ModuleScript, Script, SqlScript } from './migration.ts';
import type { Step } from './split.ts';
import { type Bench, RESTORE, setTimeouts } from './unit.ts';

/** A script in work outside a transaction. */
export interface Run {
  bench: Bench;
  /** Of a step that fails for what passes by itself. */
  retries: number;
  name: string;
  script: Script;
}

/**
 * Runs a script from step `done` on, each step with the record of its progress, and leaves the session as it was.
 * @param forget removes the row of one that left nothing behind
 * @param failed records why it stopped
 * @throws MpmError MIGRATION_FAILED, CONNECTION_LOST: where it stopped, and what was kept
 */
export async function runSteps(
  run: Run,
  steps: readonly Step[] | undefined,
  done: number,
  forget: string | undefined,
  failed: (message: string) => string,
): Promise<void> {
  const { connection } = run.bench;
  let current = done;
  try {
    if (run.script.kind === 'module') await runOutside(run, run.script);
    for (const step of steps?.slice(done) ?? []) {
      await runStep(run, step, current);
      current += 1;
    }
  } catch (error) {
    if (connection.lost) throw stopped(run, steps, current, error);
    // Nothing was kept: as if it had never been tried.
    const clean = forget !== undefined && current === 0 && steps?.[0]?.alone === false;
    await connection.query(clean ? forget : failed(error instanceof Error ? error.message : String(error)));
    throw stopped(run, steps, current, error, clean);
  } finally {
    if (!connection.lost) await connection.send(RESTORE.join(';')).catch(() => undefined);
  }
}

async function runOutside({ name, bench }: Run, script: ModuleScript): Promise<void> {
  const { connection, modules } = bench;
  const { runModule } = await import('./module-run.ts');
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
  for (const notice of notices) bench.notice(notice);
}

/** A statement that can share a transaction with the record of its progress does; then both happen or neither. */
async function runStep(run: Run, step: Step, index: number): Promise<void> {
  const { connection, history } = run.bench;
  const record = recordStatement(history, run.name, index + 1);
  if (!step.alone) {
    const message = `${prefixOf(run)}${step.text}\n;${record}`;
    await untilHad(run, () => connection.send(message));
    return;
  }
  if (step.concurrentIndex) await dropInvalidIndex(connection, step.concurrentIndex);
  await connection.send(step.text);
  const invalid = step.concurrentIndex && (await invalidIndex(connection, step.concurrentIndex));
  if (invalid) throw new Error(`index ${invalid} is invalid: an earlier CREATE INDEX CONCURRENTLY failed`);
  await connection.query(record);
}

/** What a step is sent behind. */
function prefixOf({ bench, script }: Run): string {
  return `${setTimeouts(bench.timeouts, script.options).join(';\n')};\n`;
}

/** What passes by itself is tried again right here: earlier statements are committed, the attempt cannot start anew. */
async function untilHad(run: Run, act: () => Promise<unknown>): Promise<void> {
  for (let tried = 0; ; tried += 1) {
    try {
      await act();
      return;
    } catch (error) {
      if (run.bench.connection.lost || tried >= run.retries || !isTransient(error)) throw error;
      await pause(tried + 4);
    }
  }
}

const RESUME = 'Then resume: mpm-migrate up --tenant {tenant} --force';

function stopped(
  run: Run,
  steps: readonly Step[] | undefined,
  index: number,
  error: unknown,
  clean = false,
): MpmError {
  const step = steps?.[index];
  const known = error instanceof MpmError ? error : undefined;
  const excerpt = step
    ? locateStep(run, step, error)
    : run.script.kind === 'module'
      ? (known?.excerpt ?? locateInModule(run.script, error))
      : undefined;
  const server = isServerError(error) ? error : undefined;
  const place = steps ? `it stopped at statement ${index + 1} of ${steps.length}` : 'it stopped half-way';
  const message = error instanceof Error ? error.message : String(error);
  const lost = run.bench.connection.lost !== undefined;
  return new MpmError(
    lost ? 'CONNECTION_LOST' : 'MIGRATION_FAILED',
    lost ? `the connection was lost while ${run.name} ran: ${message}` : message,
    {
      migration: run.name,
      // A retry by the lanes would be refused as interrupted: what is kept is resumed on request only.
      cause: clean ? error : undefined,
      aftermath: clean ? 'nothing was kept' : `${place}; what went before was kept`,
      ...(clean ? {} : { hint: `${known?.hint ?? 'Mend the cause.'}\n${RESUME}` }),
      ...(excerpt && { excerpt }),
      ...(server ? { database: databaseFields(server) } : known?.database && { database: known.database }),
    },
  );
}

function locateStep(run: Run, step: Step, error: unknown) {
  if (run.script.kind !== 'sql') return undefined;
  const script: SqlScript = run.script;
  const prefix = step.alone ? 0 : prefixOf(run).length;
  const server = isServerError(error) ? error : undefined;
  const message = step.alone ? step.text : `${' '.repeat(prefix)}${step.text}`;
  const within = { ...script, sql: step.text, start: script.start + step.start };
  return locate(within, { message, prefix, position: server?.position, where: server?.where, completed: 0 });
}
