import { MpmError } from '../../errors.ts';
import type { Connection } from '../../postgres/connection.ts';
import { firstRefused } from '../../postgres/only-parse.ts';
import { type HistoryPosition, unmoved, unmovedBut } from '../history/fence.ts';
import { lookUp } from './look-up.ts';
import { type Migration, runnable, type Script } from '../migration.ts';
import {
  claimFirst,
  claimLeftover,
  claimReverting,
  deleteFinished,
  type StatementProgress,
  recordFinished,
} from './progress.ts';
import { type Step, split } from '../sql/split.ts';
import type { HistoryRow } from '../history/state.ts';
import { remakeSession } from '../sql/session.ts';
import { runSteps } from './steps.ts';
import { type Application, fenceBehind, type Reversion } from '../apply/transaction.ts';
import { type EntryOutcome } from '../apply/outcomes.ts';
import { type MigrationContext, RESTORE } from '../apply/batch.ts';

/** How a migration is run outside a transaction. */
export interface OutsideOptions {
  /** Of a statement that fails for what passes by itself. */
  retries: number;
  /**
   * The statement at which an earlier attempt stopped, where nobody can know whether it was done: `retry` runs it again,
   * `skip` goes on after it. By default the migration is refused.
   */
  resume?: 'retry' | 'skip' | undefined;
}

/**
 * Applies a `transaction:false` migration: the claim is committed first, then statement by statement with its
 * progress, so that a failure or a kill leaves `failed` or `interrupted` at statement n (engine 9 to 11, 40).
 */
export async function applyOutside(
  context: MigrationContext,
  options: OutsideOptions,
  { migration, at, position, before = [], open, after, follows }: Application,
  { carries = false }: { carries?: boolean } = {},
): Promise<EntryOutcome> {
  const { history, applier } = context;
  const leftover = typeof at === 'number' ? undefined : at;
  return workOff({
    context,
    options,
    migration,
    script: runnable(migration),
    reverting: false,
    leftover,
    carries,
    position,
    unmoved: context.lock.isHeld
      ? fenceBehind(history, { position, after: [] }, follows)
      : unmoved(history, position),
    was: leftover,
    before,
    open,
    claim: (progress) =>
      typeof at === 'number'
        ? claimFirst(history, migration, at, applier, progress)
        : claimLeftover(history, migration, at, applier, progress),
    finish: (done) => [recordFinished(history, migration.name, done), ...after],
  });
}

/** Runs a `transaction:false` down section; the row is `running` meanwhile, and gone at the end. */
export async function revertOutside(
  context: MigrationContext,
  options: OutsideOptions,
  { migration, script, row, position, before = [], open, after }: Reversion,
): Promise<EntryOutcome> {
  const { history, applier } = context;
  const leftover = row.reverting ? row : undefined;
  return workOff({
    context,
    options,
    migration,
    script,
    reverting: true,
    leftover,
    carries: false,
    position,
    unmoved: unmoved(history, position),
    was: row,
    before,
    open,
    claim: (progress) =>
      leftover
        ? claimLeftover(history, migration, leftover, applier, progress)
        : claimReverting(history, row, progress),
    finish: () => [deleteFinished(history, row.name), ...after],
  });
}

/** A migration, or its way back, that is to be worked off. */
interface Task {
  context: MigrationContext;
  options: OutsideOptions;
  migration: Migration;
  script: Script;
  reverting: boolean;
  /** The row that an earlier attempt at the same script left. */
  leftover: HistoryRow | undefined;
  /** Its last record goes with the next message of the attempt. */
  carries: boolean;
  /** What the history must be, and the statement that fails unless it is. */
  position: HistoryPosition;
  unmoved: string;
  /** The migration's row, where it has one. */
  was: HistoryRow | undefined;
  /** What comes before the claim. */
  before: readonly string[];
  /** Marks the head stamp open. */
  open: string | undefined;
  claim(progress: StatementProgress): string;
  /** @param done how many statements the row says are done, and are */
  finish(done: { was: number; now: number }): string[];
}

async function workOff(task: Task): Promise<EntryOutcome> {
  const { context, options, migration, script, reverting, leftover } = task;
  const { connection, history, lock } = context;
  const steps = script.kind === 'sql' ? await split(script) : undefined;
  const hashes = steps?.map(({ hash }) => hash) ?? [migration.checksum];
  await refusePooler(connection, leftover);
  // What was begun under the lock that is held has marked the stamp already.
  const open = lock.isHeld ? [] : task.open ? [task.open] : [];
  const taken = await lock.take();
  if (taken !== 'held') return taken;
  let inSteps = false;
  try {
    await context.admit?.();
    if (leftover || steps?.some(({ doubt }) => doubt)) await context.carrier.settle();
    await requireStatements(connection, script, steps ?? []);
    const done = leftover ? await resumeAt(task, leftover, steps, hashes) : 0;
    const { name } = migration;
    const { position, was } = task;
    // A module sends its statements itself: where the lock cannot be had again, it can send no more.
    if (script.kind === 'module') lock.onGone = () => connection.cut();
    inSteps = true;
    return await runSteps({
      context,
      carries: task.carries,
      expects: unmovedBut(history, position, { name, was, pid: connection.backendPid }),
      retries: options.retries,
      name,
      script,
      steps,
      done,
      isNew: leftover === undefined,
      isFirst: leftover === undefined && !reverting,
      reverting,
      claim: (begun) => [
        task.unmoved,
        ...task.before,
        task.claim({ hashes, done, begun, reverting }),
        ...open,
      ],
      finish: task.finish,
    });
  } finally {
    lock.onGone = undefined;
    // A session that was made again for an attempt that did not begin is nobody's.
    if (leftover && !inSteps && !connection.lost) await connection.raw(RESTORE.join(';\n'));
  }
}

/**
 * What our parser refuses is asked of the server before anything is run.
 * @throws MpmError MIGRATION_INVALID at the place of what the server refuses as well
 */
async function requireStatements(
  connection: Connection,
  script: Script,
  steps: readonly Step[],
): Promise<void> {
  const doubted = steps.filter(({ doubt }) => doubt);
  if (script.kind !== 'sql' || doubted.length === 0) return;
  const texts = doubted.map(({ start, end }) => script.sql.slice(start, end));
  const refused = await firstRefused(connection, texts);
  if (refused !== undefined) throw doubted[refused]?.doubt;
}

/** How many statements are done, from the row, and from the catalogs where the row does not know. */
async function resumeAt(
  { context, options, script }: Task,
  row: HistoryRow,
  steps: readonly Step[] | undefined,
  hashes: readonly string[],
): Promise<number> {
  // 0.1.0 wrote the whole hash.
  const isAsBefore = (index: number) =>
    row.statementHashes?.[index]?.startsWith(hashes[index] ?? '-') ?? false;
  const done = row.statementsDone;
  for (let index = 0; index < done; index += 1) if (!isAsBefore(index)) throw changedSince(row, index);

  if (steps && script.kind === 'sql') {
    await remakeSession(context.connection, { name: row.name, script, steps, done });
  }
  const skip = options.resume === 'skip';
  if (row.state === 'failed') return skip ? done + 1 : done;
  const step = steps?.[done];
  // 0.1.0 did not record that it begins.
  const isBegun = row.statementBegun !== null || (row.backendPid === null && step?.nature.bare !== false);
  if (!isBegun) {
    if (skip) throw nothingToSkip(row);
    return done;
  }
  const isSql = step && script.kind === 'sql' && isAsBefore(done);
  const { trace } = step?.nature ?? {};
  if (skip && trace?.kind === 'harmless') return done + 1;
  const verdict = isSql
    ? await lookUp(
        context.connection,
        context.history,
        script.sql.slice(step.start, step.end),
        step.nature.trace,
      )
    : 'unknown';
  if (verdict === 'unknown' && options.resume === undefined) throw endUnknown(row);
  return verdict === 'done' || (verdict === 'unknown' && skip) ? done + 1 : done;
}

function changedSince(row: HistoryRow, index: number): MpmError {
  return refusal(
    row.name,
    `statement ${index + 1} of ${row.name} was changed after it had been run`,
    `Restore it. Or finish it by hand, and then: mpm-migrate resolve ${row.name} --tenant {tenant} --applied
Or revert what it did, and then: mpm-migrate resolve ${row.name} --tenant {tenant} --rolled-back`,
  );
}

function nothingToSkip(row: HistoryRow): MpmError {
  return refusal(
    row.name,
    `${row.name} was interrupted before statement ${row.statementsDone + 1}, which hadn't started: there is nothing to skip`,
    `Continue: mpm-migrate resolve ${row.name} --tenant {tenant} --retry`,
  );
}

function endUnknown(row: HistoryRow): MpmError {
  const place = row.statements === 1 ? '' : ` at statement ${row.statementsDone + 1} of ${row.statements}`;
  const command = `mpm-migrate resolve ${row.name} --tenant {tenant}`;
  return refusal(
    row.name,
    `${row.name} was interrupted${place}, which runs outside a transaction: it isn't known whether it was done`,
    `Look at the database. If it was not done, run it again: ${command} --retry\nIf it was done, continue after it: ${command} --skip`,
  );
}

/** `up` does not begin at a migration whose way back is half-done. */
export function halfReverted(name: string): MpmError {
  return refusal(
    name,
    `the down of ${name} is half-done`,
    `Resume it: mpm-migrate resolve ${name} --tenant {tenant} --retry`,
  );
}

function refusal(migration: string, message: string, hint: string): MpmError {
  return new MpmError('PLAN_REFUSED', message, { migration, aftermath: 'nothing was changed here', hint });
}

/** The session keeps what the statements set in it, and what they need of it: neither is to be had behind a pooler. */
async function refusePooler(connection: Connection, leftover: HistoryRow | undefined): Promise<void> {
  // Without a session to be made again, it is held anew with the claim.
  if ((connection.isDirect && !leftover) || (await connection.holdSession())) return;
  throw new MpmError('CONNECTION', 'transaction:false needs a connection that bypasses the pooler', {
    aftermath: 'nothing was changed here',
    hint: 'Set a directUrl for the server in the configuration (servers.<name>.directUrl).',
  });
}
