import { MpmError } from '../errors.ts';
import { connect, type DatabaseTarget } from '../postgres/connect.ts';
import type { Connection } from '../postgres/connection.ts';
import { databaseFields, isServerError, isTransient, SQLSTATE } from '../postgres/sqlstate.ts';
import {
  claimAgain,
  claimDown,
  deleteRow,
  GUARD,
  insertClaim,
  lockGuard,
  recordApplied,
  recordFailure,
  recordStatement,
  type RowToRevert,
} from './history.ts';
import { dropInvalidIndex, invalidIndex } from './invalid-index.ts';
import { locate, locateInModule } from './locate.ts';
import { pause } from './lock.ts';
import type { Migration, Script, SqlScript } from './migration.ts';
import { split, type Step } from './split.ts';
import type { HistoryRow } from './state.ts';
import type { UnitOutcome } from './transaction.ts';
import { type Bench, RESTORE, setTimeouts } from './unit.ts';

/** What work outside a transaction needs beside the bench. */
export interface Outside {
  target: DatabaseTarget;
  /** Past a pooler. */
  directUrl?: string | undefined;
  retries: number;
}

/**
 * Applies a `transaction:false` migration: the claim is committed first, then statement by statement with its
 * progress, so that a failure or a kill leaves `failed` or `interrupted` at statement n (engine 9 to 11).
 */
export async function applyOutside(
  bench: Bench,
  outside: Outside,
  migration: Migration,
  at: HistoryRow | number,
  stamp: string | undefined,
): Promise<UnitOutcome> {
  const steps = migration.up.kind === 'sql' ? await split(migration.up) : undefined;
  const hashes = steps?.map(({ hash }) => hash) ?? [migration.checksum];
  const leftover = typeof at === 'number' ? undefined : at;
  const done = leftover ? resumeAt(leftover, hashes) : 0;
  const claim = leftover
    ? claimAgain(bench.history, migration, leftover, bench.applier, { hashes, done })
    : insertClaim(bench.history, migration, at as number, bench.applier, { hashes });

  return underLock(bench, outside, async (connection) => {
    if ((await send(connection, claim)) === 'moved') return 'moved';
    const run = { bench: { ...bench, connection }, outside, name: migration.name, script: migration.up };
    const forget = leftover ? undefined : deleteRow(bench.history, migration.name);
    await runAll(run, steps, done, forget, (error) =>
      recordFailure(bench.history, migration, bench.applier, error),
    );
    await connection.query([recordApplied(bench.history, migration.name), stamp].filter(Boolean).join(';\n'));
    return 'done';
  });
}

/** Runs a `transaction:false` down section; the row is `running` meanwhile, and gone at the end. */
export async function revertOutside(
  bench: Bench,
  outside: Outside,
  migration: Migration,
  script: Script,
  row: RowToRevert,
  stamp: string | undefined,
): Promise<UnitOutcome> {
  const steps = script.kind === 'sql' ? await split(script) : undefined;
  return underLock(bench, outside, async (connection) => {
    if ((await send(connection, claimDown(bench.history, row))) === 'moved') return 'moved';
    const run = { bench: { ...bench, connection }, outside, name: migration.name, script };
    await runAll(run, steps, 0, undefined, (error) =>
      recordFailure(bench.history, migration, bench.applier, `down: ${error}`),
    );
    await connection.query([deleteRow(bench.history, row.name), stamp].filter(Boolean).join(';\n'));
    return 'done';
  });
}

interface Run {
  bench: Bench;
  outside: Outside;
  name: string;
  script: Script;
}

function resumeAt(row: HistoryRow, hashes: readonly string[]): number {
  const before = row.statementHashes?.slice(0, row.statementsDone) ?? [];
  const changed = before.findIndex((hash, index) => hash !== hashes[index]);
  if (changed < 0) return before.length;
  throw new MpmError(
    'PLAN_REFUSED',
    `statement ${changed + 1} of ${row.name} was changed after it had been run`,
    {
      migration: row.name,
      aftermath: 'nothing was changed here',
      hint: `Restore it, or say what is true: mpm-migrate resolve ${row.name} --tenant {tenant} --applied|--rolled-back`,
    },
  );
}

/**
 * The lock is held by a second connection with an open transaction, because a transaction-level lock needs one
 * and the statements must not be in it. Literals only: a bind parameter leaves a portal open that pins a
 * snapshot, and CREATE INDEX CONCURRENTLY waits for it for ever (engine 14).
 */
async function underLock(
  bench: Bench,
  outside: Outside,
  use: (connection: Connection) => Promise<UnitOutcome>,
): Promise<UnitOutcome> {
  const target = {
    ...outside.target,
    url: outside.directUrl ?? outside.target.url,
    database: bench.connection.database,
  };
  if (!outside.directUrl) await refusePooler(bench.connection);
  const lock = await connect({ ...target, applicationName: `${target.applicationName}/lock` });
  try {
    const held = await send(
      lock,
      `begin isolation level read committed;\nset local idle_in_transaction_session_timeout = 0;\n${lockGuard(bench.history)}`,
    );
    if (held !== 'done') return 'locked';
    if (!outside.directUrl) return await use(bench.connection);
    const direct = await connect(target);
    try {
      return await use(direct);
    } finally {
      await direct.close();
    }
  } finally {
    await lock.close();
  }
}

async function refusePooler(connection: Connection): Promise<void> {
  const [row] = await connection.query<{ pid: number }>('select pg_catalog.pg_backend_pid() as pid');
  if (row?.pid === connection.backendPid) return;
  throw new MpmError('CONNECTION', 'transaction:false needs a connection past the pooler', {
    aftermath: 'nothing was changed here',
    hint: 'Give the server a directUrl in the configuration (servers.<name>.directUrl).',
  });
}

/** `moved` and `locked` are what the guards say; anything else is thrown. */
async function send(connection: Connection, sql: string): Promise<UnitOutcome> {
  try {
    await connection.send(sql);
    return 'done';
  } catch (error) {
    if (!isServerError(error)) throw error;
    if (error.code === SQLSTATE.uniqueViolation || error.message.includes(GUARD.moved)) return 'moved';
    if (error.message.includes(GUARD.locked)) return 'locked';
    throw error;
  }
}

async function runAll(
  run: Run,
  steps: readonly Step[] | undefined,
  done: number,
  forget: string | undefined,
  failed: (message: string) => string,
): Promise<void> {
  const { connection } = run.bench;
  let current = done;
  try {
    if (!steps) await runModule(run);
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

async function runModule(run: Run): Promise<void> {
  const { connection } = run.bench;
  if (run.script.kind !== 'module') return;
  await run.script.run(await connection.kysely());
  if (connection.transaction !== 'idle') {
    await connection.query('rollback');
    throw new Error('it left a transaction open, which was rolled back');
  }
}

/** A statement that can share a transaction with the record of its progress does; then both happen or neither. */
async function runStep(run: Run, step: Step, index: number): Promise<void> {
  const { connection, history, timeouts } = run.bench;
  const record = recordStatement(history, run.name, index + 1);
  if (!step.alone) {
    const message = `${setTimeouts(timeouts, run.script.options)};\n${step.text}\n;${record}`;
    await untilHad(run, () => connection.send(message));
    return;
  }
  if (step.concurrentIndex) await dropInvalidIndex(connection, step.concurrentIndex);
  await connection.send(step.text);
  const invalid = step.concurrentIndex && (await invalidIndex(connection, step.concurrentIndex));
  if (invalid) throw new Error(`index ${invalid} is invalid: an earlier CREATE INDEX CONCURRENTLY failed`);
  await connection.query(record);
}

/** What passes by itself is tried again right here: earlier statements are committed, the attempt cannot start anew. */
async function untilHad(run: Run, act: () => Promise<unknown>): Promise<void> {
  for (let tried = 0; ; tried += 1) {
    try {
      await act();
      return;
    } catch (error) {
      if (run.bench.connection.lost || tried >= run.outside.retries || !isTransient(error)) throw error;
      await pause(tried + 4);
    }
  }
}

function stopped(
  run: Run,
  steps: readonly Step[] | undefined,
  index: number,
  error: unknown,
  clean = false,
): MpmError {
  const step = steps?.[index];
  const excerpt = step
    ? locateStep(run, step, error)
    : run.script.kind === 'module'
      ? locateInModule(run.script, error)
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
      ...(clean ? {} : { hint: 'Mend the cause, then resume: mpm-migrate up --tenant {tenant} --force' }),
      ...(excerpt && { excerpt }),
      ...(server && { database: databaseFields(server) }),
    },
  );
}

function locateStep(run: Run, step: Step, error: unknown) {
  if (run.script.kind !== 'sql') return undefined;
  const script: SqlScript = run.script;
  const prefix = step.alone ? 0 : `${setTimeouts(run.bench.timeouts, script.options)};\n`.length;
  const server = isServerError(error) ? error : undefined;
  const message = step.alone ? step.text : `${' '.repeat(prefix)}${step.text}`;
  const within = { ...script, sql: step.text, start: script.start + step.start };
  return locate(within, { message, prefix, position: server?.position, where: server?.where, completed: 0 });
}
