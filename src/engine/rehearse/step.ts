import { MpmError } from '../../errors.ts';
import { durationText } from '../../pace.ts';
import { isServerError, isTransient, SQLSTATE } from '../../postgres/sqlstate.ts';
import { SESSION_SETTINGS } from '../../postgres/settings.ts';
import {
  type BatchEntry,
  composeBatch,
  type MigrationContext,
  RELEASE,
  RESTORE,
  SAVEPOINT,
  setTimeouts,
} from '../apply/batch.ts';
import { failure, withHolders } from '../apply/failure.ts';
import { type Migration, type MigrationOptions, type ModuleScript, runnable } from '../migration.ts';
import { inModuleTurn } from '../module/module-process.ts';
import { endsTransaction } from '../sql/plain-statements.ts';
import { scan } from '../sql/scan.ts';
import { lastingWord } from './lasting.ts';
import {
  NOW,
  type Observation,
  OBSERVE,
  type Observer,
  OURS,
  SELECT_DEFERRED,
  selectSizes,
} from './observe.ts';
import { isNeverCommit, WATCH_CLIENT } from './session.ts';
import type { Held, RehearsalWatch } from './watch.ts';

/** A migration that went through. */
export interface RehearsedStep extends Observation {
  name: string;
  durationMs: number;
}

interface StepContext {
  context: MigrationContext;
  observer: Observer;
  watch: RehearsalWatch;
  /** The server can tell that this process is gone. */
  watchesClient: boolean;
  /** ms for which others are kept from a table at most; 0: without limit. */
  lockLimit: number;
  /** What an earlier one's end has made immediate, and is to be deferred again: names as SQL. */
  deferred: string | null;
  /** Nothing was run before it in this transaction. */
  isFirst: boolean;
  /** Nothing is run behind it. */
  isLast: boolean;
}

/** `reason`: why it can't be rehearsed, found out on the way. */
type Step = { step: RehearsedStep; deferred: string | null } | { reason: string };

/** ms for which a rehearsal waits for a table lock where nothing else is said; it never waits without end. */
const LOCK_TIMEOUT = 1000;

/**
 * Runs one migration of a rehearsal, up to what its COMMIT would check.
 * @throws MpmError as `up` would: MIGRATION_FAILED and the like; LOCK_LIMIT
 */
export async function rehearseStep(migration: Migration, step: StepContext): Promise<Step> {
  const { context, deferred, isFirst } = step;
  const script = runnable(migration);
  const { opening, closing } = context.settings;
  const { lockTimeout, timeouts } = patienceOf(context, script.options, step.lockLimit);
  const entry: BatchEntry = {
    context,
    name: migration.name,
    script,
    front: [
      ...(isFirst ? [] : opening),
      ...(deferred === null ? [] : [`set constraints ${deferred} deferred`]),
      ...timeouts,
      ...(step.watchesClient ? [WATCH_CLIENT] : []),
      NOW,
      SAVEPOINT,
      ...SESSION_SETTINGS,
    ],
    closing: [
      ...RESTORE,
      ...closing,
      RELEASE,
      `set local lock_timeout = ${lockTimeout}`,
      'set constraints all immediate',
    ],
  };
  if (step.watch.held) return overdue(entry, step, step.watch.held);
  if (step.observer.blocked.size === 0) step.watch.free();
  const begun: { reason?: string } = {};
  try {
    const rows = script.kind === 'sql' ? await runSql(entry) : await runModule(entry, script, begun);
    if (begun.reason !== undefined) return { reason: begun.reason };
    const [first, last] = [rows[0], rows.at(-1)].map((row) => Number(row?.[OURS]));
    const durationMs = Math.max(0, ((last ?? 0) - (first ?? 0)) * 1000);
    return {
      step: { name: migration.name, durationMs, ...(await observe(step)) },
      deferred: await deferredBy(step),
    };
  } catch (error) {
    if (begun.reason !== undefined) return { reason: begun.reason };
    if (isServerError(error) && !isFirst) {
      if (error.code === SQLSTATE.unsafeEnum || error.code === SQLSTATE.objectInUse)
        return { reason: `needs an earlier one to be committed: ${error.message}` };
    }
    const failed = failedBy(error, entry);
    const { held } = step.watch;
    if (held && isServerError(error) && error.code === SQLSTATE.queryCanceled)
      return overdue(entry, step, held, failed);
    throw withHolders(failed, isTransient(error) ? await step.watch.stop() : []);
  }
}

async function observe({ context: { connection }, observer }: StepContext): Promise<Observation> {
  const answer = await connection.raw(OBSERVE.join(';\n'));
  return observer.observe(answer, async (oids) => {
    const { rows } = await connection.raw(selectSizes(oids));
    return new Map(rows.map(({ oid, bytes }) => [Number(oid), Number(bytes)]));
  });
}

async function deferredBy({ context: { connection }, isLast }: StepContext): Promise<string | null> {
  if (isLast) return null;
  const { rows } = await connection.raw(SELECT_DEFERRED);
  return (rows[0]?.['deferred'] as string | null | undefined) ?? null;
}

/** A lock is waited for, always, but not for longer than others may be kept waiting behind it. */
function patienceOf(
  { timeouts }: MigrationContext,
  options: MigrationOptions,
  lockLimit: number,
): { lockTimeout: number; timeouts: string[] } {
  const wanted = options.lockTimeout ?? timeouts.lockTimeout;
  const lockTimeout = Math.min(wanted || LOCK_TIMEOUT, lockLimit || Infinity);
  return { lockTimeout, timeouts: setTimeouts(timeouts, { ...options, lockTimeout }) };
}

async function runSql(entry: BatchEntry): Promise<Record<string, unknown>[]> {
  const { parts } = composeBatch([entry]);
  const { results } = await entry.context.connection.run([...parts, NOW], OURS);
  return results.flatMap(({ rows }) => rows);
}

/** @param found gets why it can't be rehearsed, where the module is about to do what doesn't roll back; that isn't sent */
async function runModule(
  entry: BatchEntry,
  script: ModuleScript,
  found: { reason?: string },
): Promise<Record<string, unknown>[]> {
  const { name, context } = entry;
  const { connection, modules: watch } = context;
  const refuse = (sql: string): void => {
    const ends = scan(sql).statements.some(endsTransaction);
    const what = ends ? 'it ends its transaction' : lastingWord(sql);
    if (what === undefined) return;
    found.reason ??= `does what doesn't roll back: ${what}`;
    throw new MpmError('MIGRATION_FAILED', `a rehearsal doesn't run what doesn't roll back: ${what}`);
  };
  const run = async () => {
    const front = await connection.raw(entry.front.join(';\n'));
    const { runModule: start } = await import('../module/module-run.ts');
    await start({ name, script, connection, inTransaction: true, watch, refuse });
    entry.isClosing = true;
    const back = await connection.raw([...entry.closing, NOW].join(';\n'));
    return [...front.results, ...back.results].flatMap(({ rows }) => rows.filter((row) => OURS in row));
  };
  return script.serial ? inModuleTurn(run) : run();
}

function failedBy(error: unknown, entry: BatchEntry): MpmError {
  if (error instanceof MpmError) return error;
  const { name, script, context } = entry;
  if (isNeverCommit(error)) {
    return new MpmError('MIGRATION_ESCAPED', `${name} ends the transaction that it is given`, {
      migration: name,
      cause: error,
      aftermath: 'nothing was committed: a rehearsal can not be',
      hint: 'Remove COMMIT or ROLLBACK from it.',
    });
  }
  if (script.kind === 'module') return failure(error, entry);
  const { parts, starts } = composeBatch([entry]);
  const completed = context.connection.answered.length;
  return failure(error, entry, { message: parts.join(''), prefix: starts[0] ?? 0, completed });
}

/**
 * What is said of a lock that is held for too long: by this migration, as `up` would, or by an earlier one of the
 * rehearsal, whose locks `up` would have released.
 * @throws MpmError LOCK_LIMIT
 */
function overdue(
  { name }: BatchEntry,
  { lockLimit, observer, isFirst }: StepContext,
  { table, mode }: Held,
  failed?: MpmError,
): { reason: string } {
  const limit = durationText(lockLimit);
  // Whose rows they are is not known.
  const isEarlier = observer.blocked.has(table) || (mode === 'ROW EXCLUSIVE' && !isFirst);
  if (!failed || isEarlier)
    return { reason: `would keep ${mode} on ${table}, which an earlier one took, longer than ${limit}` };
  const { excerpt } = failed;
  throw new MpmError('LOCK_LIMIT', `holds ${mode} on ${table} longer than ${limit}`, {
    migration: name,
    ...(excerpt && { excerpt }),
    aftermath: 'it was cancelled, and everything was rolled back',
    hint: 'Find a form of it that locks for less time, or plan for the wait. To rehearse it all the same, raise --lock-limit.',
  });
}
