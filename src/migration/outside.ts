import { MpmError } from '../errors.ts';
import { connect } from '../postgres/connect.ts';
import type { Connection } from '../postgres/connection.ts';
import { isServerError, SQLSTATE } from '../postgres/sqlstate.ts';
import {
  claimAgain,
  claimDown,
  deleteRow,
  GUARD,
  insertClaim,
  lockGuard,
  recordApplied,
  recordFailure,
} from './history.ts';
import { split } from './split.ts';
import type { HistoryRow } from './state.ts';
import { runSteps } from './steps.ts';
import type { Application, Reversion, UnitOutcome } from './transaction.ts';
import type { Bench } from './unit.ts';

/**
 * Applies a `transaction:false` migration: the claim is committed first, then statement by statement with its
 * progress, so that a failure or a kill leaves `failed` or `interrupted` at statement n (engine 9 to 11).
 */
export async function applyOutside(
  bench: Bench,
  retries: number,
  { migration, at, fence, stamp }: Application,
): Promise<UnitOutcome> {
  const steps = migration.up.kind === 'sql' ? await split(migration.up) : undefined;
  const hashes = steps?.map(({ hash }) => hash) ?? [migration.checksum];
  const leftover = typeof at === 'number' ? undefined : at;
  const done = leftover ? resumeAt(leftover, hashes) : 0;
  const claim = leftover
    ? claimAgain(bench.history, migration, leftover, bench.applier, { hashes, done })
    : insertClaim(bench.history, migration, at as number, bench.applier, { hashes });

  const { connection } = bench;
  return underLock(bench, async () => {
    if ((await send(connection, `${fence};\n${claim}`)) === 'moved') return 'moved';
    const run = { bench, retries, name: migration.name, script: migration.up };
    const forget = leftover ? undefined : deleteRow(bench.history, migration.name);
    await runSteps(run, steps, done, forget, (error) =>
      recordFailure(bench.history, migration, bench.applier, error),
    );
    await connection.query([recordApplied(bench.history, migration.name), stamp].filter(Boolean).join(';\n'));
    return 'done';
  });
}

/** Runs a `transaction:false` down section; the row is `running` meanwhile, and gone at the end. */
export async function revertOutside(
  bench: Bench,
  retries: number,
  { migration, script, row, fence, stamp }: Reversion,
): Promise<UnitOutcome> {
  const steps = script.kind === 'sql' ? await split(script) : undefined;
  const { connection } = bench;
  return underLock(bench, async () => {
    const claim = `${fence};\n${claimDown(bench.history, row)}`;
    if ((await send(connection, claim)) === 'moved') return 'moved';
    const run = { bench, retries, name: migration.name, script };
    await runSteps(run, steps, 0, undefined, (error) =>
      recordFailure(bench.history, migration, bench.applier, `down: ${error}`),
    );
    await connection.query([deleteRow(bench.history, row.name), stamp].filter(Boolean).join(';\n'));
    return 'done';
  });
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
async function underLock(bench: Bench, use: () => Promise<UnitOutcome>): Promise<UnitOutcome> {
  const { connection, target } = bench;
  await refusePooler(connection);
  const lock = await connect({ ...target, applicationName: `${target.applicationName}/lock` });
  try {
    const held = await send(
      lock,
      `begin isolation level read committed;\nset local idle_in_transaction_session_timeout = 0;\n${lockGuard(bench.history)}`,
    );
    if (held !== 'done') return 'locked';
    await bench.admit?.();
    return await use();
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
