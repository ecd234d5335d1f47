import { setTimeout as sleep } from 'node:timers/promises';
import { asMpmError, MpmError, REFUSED } from '../../errors.ts';
import { type DatabaseTarget, withConnection } from '../../postgres/connect.ts';
import type { Connection } from '../../postgres/connection.ts';
import { databaseError, isTransient } from '../../postgres/sqlstate.ts';
import { goDown } from './down.ts';
import { connectionLost } from './failure.ts';
import { cancellable } from './interrupt.ts';
import { waitForLock } from './lock.ts';
import type { Migration } from '../migration.ts';
import type { DownOptions } from '../plan-down.ts';
import { readRows } from '../history/read.ts';
import { closeStamp } from '../history/restamp.ts';
import { goUp } from './up.ts';
import { type Attempt, type MigrateOptions, recordDone, waitOf, type AttemptContext } from './attempt.ts';

export type { Attempt, MigrateOptions } from './attempt.ts';

/** Applies what is pending, each migration in a transaction of its own. A failure is in the result, not thrown. */
export function attemptUp(
  target: DatabaseTarget,
  set: { migrations: readonly Migration[] },
  options: MigrateOptions,
): Promise<Attempt> {
  return attempt({ target, options, result: emptyResult() }, (work, connection) =>
    goUp(work, connection, set.migrations),
  );
}

/** Takes back what was applied last, each migration in a transaction of its own. A failure is in the result. */
export function attemptDown(
  target: DatabaseTarget,
  set: { migrations: readonly Migration[] },
  options: MigrateOptions & DownOptions,
): Promise<Attempt> {
  const { to, steps, ofRun, plugin, leaveLater, only, force, acceptChanged } = options;
  const depth: DownOptions = {
    order: options.order,
    ...(to !== undefined && { to }),
    ...(steps !== undefined && { steps }),
    ...(ofRun !== undefined && { ofRun }),
    ...(plugin !== undefined && { plugin }),
    ...(leaveLater && { leaveLater }),
    ...(only !== undefined && { only }),
    ...(force && { force }),
    ...(acceptChanged && { acceptChanged }),
  };
  // What was taken back in this attempt counts against the steps when another runner makes it plan again.
  return attempt({ target, options, result: emptyResult() }, (work, connection) => {
    const counted = [depth.to, ofRun, plugin, only].every((said) => said === undefined);
    const left = counted ? (depth.steps ?? 1) - work.result.applied.length : undefined;
    return goDown(work, connection, set.migrations, left === undefined ? depth : { ...depth, steps: left });
  });
}

/** An attempt that has done nothing so far. */
export function emptyResult(): Attempt {
  return {
    outcome: 'current',
    from: null,
    to: null,
    applied: [],
    pending: [],
    notices: [],
    retryable: false,
  };
}

/** `again`: another runner has moved the history on; it is read anew. */
type Go = (work: AttemptContext, connection: Connection) => Promise<'finished' | 'again'>;

async function attempt(work: AttemptContext, go: Go): Promise<Attempt> {
  const { result } = work;
  try {
    for (;;) {
      const lost = await cancellable(work.target, work.options.cancel, () => onConnection(work, go));
      if (!lost) break;
      await finishLost(work, lost);
    }
  } catch (error) {
    return failAttempt(work, error);
  }
  return result;
}

/** What an attempt came to that ended in an error. */
export function failAttempt(work: AttemptContext, error: unknown): Attempt {
  const known = cancelled(work) ?? asMpmError(databaseError(error, work.target.database ?? ''));
  const outcome = REFUSED.includes(known.code) ? 'refused' : known.code === 'BUSY' ? 'busy' : 'failed';
  return Object.assign(work.result, { error: known, outcome, retryable: isTransient(known.cause ?? known) });
}

/** After the second signal, an error is most likely what it brought about; nothing of it is kept either way. */
function cancelled({ options, open }: AttemptContext): MpmError | undefined {
  if (!options.cancel?.aborted) return undefined;
  const [name] = open?.names ?? [];
  const what = name ? `${name} was cancelled` : 'cancelled before the next migration';
  return new MpmError('INTERRUPTED', what, {
    ...(name && { migration: name }),
    hint: 'Run the same command again to continue from here.',
  });
}

/** Works on one connection to the end; returns the error when the connection broke inside a migration. */
async function onConnection(work: AttemptContext, go: Go): Promise<MpmError | undefined> {
  const { target, options } = work;
  return withConnection(
    target,
    async (connection) => {
      const hurry = (): void => connection.hurry();
      options.cancel?.addEventListener('abort', hurry);
      try {
        while ((await go(work, connection)) === 'again');
        return undefined;
      } catch (error) {
        if (work.open && connection.lost) return asMpmError(error);
        // An open stamp is no lie: what keeps it from being closed is not what went wrong here.
        await closeStamp(work, connection).catch(() => undefined);
        throw error;
      } finally {
        options.cancel?.removeEventListener('abort', hurry);
      }
    },
    { leave: options.leave ?? false },
  );
}

/**
 * A connection that broke while a migration ran leaves open whether it was committed, and perhaps a backend that
 * is still at work: once the lock is free, the history tells (engine 18). Throws `lost` when it was rolled back.
 */
async function finishLost(work: AttemptContext, lost: MpmError): Promise<void> {
  const { open, options } = work;
  if (!open) throw lost;
  const { direction, since } = open;
  const rows = await withConnection(work.target, async (connection) => {
    await waitForLock(connection, options.history, waitOf(options));
    const read = await readRows(connection, options.history);
    await closeStamp(work, connection).catch(() => undefined);
    return read;
  }).catch((error: unknown) => {
    const migration = open.names[0] ?? '';
    throw new MpmError('COMMIT_UNKNOWN', `${lost.message}; and then: ${asMpmError(error).message}`, {
      cause: lost.cause,
      migration,
      aftermath: `it isn't known whether ${migration} was committed`,
      hint: 'Run the same command again: the history in the database decides, and nothing is applied twice.',
    });
  });
  work.open = undefined;
  for (const name of open.names) {
    const row = rows.find((each) => each.name === name);
    const happened = direction === 'up' ? row?.state === 'applied' : row === undefined;
    if (!happened) {
      const kept = row !== undefined && direction === 'up';
      const here = name === lost.migration ? lost : connectionLost(name, lost.cause);
      throw here.with({
        aftermath: kept
          ? `it stopped at statement ${row.statementsDone + 1} of ${row.statements}`
          : 'the migration was rolled back',
      });
    }
    recordDone(work, name, direction, row?.durationMs ?? performance.now() - since);
  }
}

/** ms before attempt number `attempt` + 1: exponential with full jitter, 250 ms doubling up to 30 s (engine 18). */
export function backoff(attempt: number): number {
  return Math.random() * Math.min(30_000, 250 * 2 ** (attempt - 1));
}

/** Two attempts at one database as one: the second goes on where the first one ended. */
export function mergeAttempts<A extends Pick<Attempt, 'from' | 'applied'> & { outcome: string }>(
  before: A | undefined,
  now: A,
): A {
  const last = before?.applied.at(-1);
  if (!before || !last) return now;
  const done = last.direction === 'down' ? 'reverted' : 'migrated';
  const outcome = now.outcome === 'current' ? done : now.outcome;
  return { ...now, outcome, from: before.from, applied: [...before.applied, ...now.applied] };
}

/** Repeats what passes by itself, at most `pace.retries` times; for callers without lanes. */
export async function withRetries(
  options: Pick<MigrateOptions, 'pace' | 'signal'>,
  attempt: () => Promise<Attempt>,
): Promise<Attempt & { attempts: number }> {
  let result: Attempt | undefined;
  for (let attempts = 1; ; attempts += 1) {
    result = mergeAttempts(result, await attempt());
    if (!result.retryable || attempts > options.pace.retries || options.signal?.aborted)
      return { ...result, attempts };
    await sleep(backoff(attempts));
  }
}
