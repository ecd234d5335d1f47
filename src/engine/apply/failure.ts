import { messageOf, MpmError, type SourceExcerpt } from '../../errors.ts';
import { databaseFields, isServerError, type ServerError, SQLSTATE } from '../../postgres/sqlstate.ts';
import { isGuard } from '../history/fence.ts';
import { recordFailure } from '../history/history.ts';
import { ownTableHint } from '../history/own-table.ts';
import { locate, locateInModule } from '../sql/locate.ts';
import { describeHolder, type Holder, pause } from './lock.ts';
import type { Migration, Script, SqlScript } from '../migration.ts';
import { OURS, OUTSIDE } from '../source/words.ts';
import { scan } from '../sql/scan.ts';
import { type BatchEntry, BEGIN, type MigrationContext } from './batch.ts';

/** Where in the message that was sent the unit's script begins, and how many of the unit's statements were done. */
export interface SentPosition {
  message: string;
  prefix: number;
  completed: number;
}

/** What went wrong in a unit, as users are told: where, why, and what became of it. */
export function failure(
  error: unknown,
  entry: BatchEntry,
  place: SentPosition = { message: '', prefix: 0, completed: 0 },
): MpmError {
  const { script } = entry;
  const server = isServerError(error) ? error : undefined;
  if (server && isLostSavepoint(server)) return escaped(entry, error);
  if (server?.code === SQLSTATE.inFailedTransaction) return swallowed(entry);
  const { connection } = entry.context;
  const message = messageOf(error);
  if (connection.lost) return connectionLost(entry.name, error);
  const excerpt =
    script.kind === 'sql' ? locateIn(entry, script, error, place) : locateInModule(script, error);
  return new MpmError('MIGRATION_FAILED', message, {
    migration: entry.name,
    cause: error,
    ...(server && { database: databaseFields(server) }),
    aftermath: `${excerpt || !server ? '' : stageOf(entry, place)}the migration was rolled back`,
    ...(excerpt && { excerpt }),
    ...hintOf(entry, server, excerpt),
  });
}

/** A statement, or a command's name in the server's words, and what follows. */
export const MOVES_DATABASE = /(?:^|[\r\n])\s*alter\s+database\s(?:[^;]*\s)?set\s+tablespace\b[^;]*/i;

export const BY_HAND =
  'PostgreSQL moves a database to another tablespace only while nobody is connected to it, and a migration is. Move it by hand, connected to the database postgres';

/** What a statement needs that is refused inside a transaction (engine 41), or what the server says. */
function hintOf(
  { script, context }: BatchEntry,
  server: ServerError | undefined,
  excerpt: SourceExcerpt | undefined,
): { hint?: string } {
  if (!server) return {};
  const { code, hint, where, message } = server;
  const own = ownTableHint(context.history, server, script.kind === 'sql' ? script.text : undefined);
  const said = own ?? hint;
  if (MOVES_DATABASE.test(message)) {
    return { hint: `${BY_HAND}. Remove it from the migration.` };
  }
  if (code === SQLSTATE.invalidTermination) {
    return { hint: `What commits can't run inside a transaction: ${howToRunOutside(script)}.` };
  }
  if (code !== SQLSTATE.activeTransaction) return said ? { hint: said } : {};
  const failing = excerpt?.lines.find((line) => line.failing)?.text ?? '';
  if (/\bset\b.*\btransaction/i.test(failing)) {
    return {
      hint: 'Write SET TRANSACTION as the first statement of the file: it then sets the mode of our transaction.',
    };
  }
  if (where?.includes('PL/pgSQL')) {
    return {
      hint: "PostgreSQL can't run it inside a function or a DO block: write it as a statement of its own.",
    };
  }
  return { hint: `It can't run inside a transaction: ${howToRunOutside(script)}.` };
}

/** What to write so that a script runs outside a transaction, and where. */
function howToRunOutside(script: Script): string {
  if (script.kind === 'module') return 'write export const config = { transaction: false }';
  const { text, start, path } = script;
  const own = scan(text.slice(0, start)).markers;
  const marker = own.findLast(({ sign }) => sign.kind === 'section' || sign.kind === 'divide');
  if (marker?.tool === 'mpm-migrate') return `write transaction:false behind ${marker.text}`;
  const theirs = marker && OUTSIDE[marker.tool];
  const half = /(?:^|[./\\])down\.sql$/.test(path) ? OURS.down : OURS.up;
  return theirs ?? `write ${half} transaction:false as the first line of the file`;
}

export function connectionLost(name: string, cause: unknown): MpmError {
  const message = messageOf(cause);
  return new MpmError('CONNECTION_LOST', `the connection was lost while ${name} ran: ${message}`, {
    migration: name,
    cause,
    ...(isServerError(cause) && { database: databaseFields(cause) }),
  });
}

/** Ours is gone with the transaction that it was in, or there is no transaction any more. */
function isLostSavepoint({ code, message }: { code: string; message: string }): boolean {
  if (code === SQLSTATE.noActiveTransaction) return true;
  return code === SQLSTATE.invalidSavepoint && message.includes('"mpm_migrate"');
}

/** Says when it failed, where the file has no place to show: deferred constraints fail at COMMIT. */
function stageOf({ script, front, closing, isClosing }: BatchEntry, { completed }: SentPosition): string {
  const isCommit = (index: number) => index === closing.length - 1;
  if (script.kind === 'module') return isClosing && isCommit(completed) ? 'it failed at COMMIT; ' : '';
  if (completed < front.length) return 'it failed before its first statement; ';
  const behind = completed - front.length - scan(script.sql).statements.length;
  return isCommit(behind) ? 'it failed at COMMIT; ' : 'it failed after its last statement; ';
}

function locateIn(
  { front }: BatchEntry,
  script: SqlScript,
  error: unknown,
  { completed, ...place }: SentPosition,
): SourceExcerpt | undefined {
  // A syntax error anywhere in the message comes before its first statement, but with a position.
  if (!place.message || !isServerError(error)) return undefined;
  if (completed < front.length && error.position === undefined) return undefined;
  const { position, where } = error;
  return locate(script, { ...place, position, where, completed: completed - front.length });
}

/** COMMIT would have kept nothing, and raised no error (engine 4). */
export function swallowed(entry: BatchEntry): MpmError {
  const cause = entry.context.connection.lastError;
  const what = cause instanceof Error ? `: ${cause.message}` : '';
  return new MpmError(
    'MIGRATION_SWALLOWED',
    `${entry.name} went on after one of its statements had failed${what}`,
    {
      migration: entry.name,
      cause,
      aftermath: 'the migration was rolled back',
      hint: "A failed statement ends the transaction: don't catch the error, or put a savepoint around that statement.",
      ...(isServerError(cause) && { database: databaseFields(cause) }),
    },
  );
}

/** The transaction at the end is not the one of the beginning (engine 5). */
export function escaped(entry: BatchEntry, cause?: unknown): MpmError {
  return new MpmError('MIGRATION_ESCAPED', `${entry.name} ended the transaction that it was given`, {
    migration: entry.name,
    cause,
    aftermath: 'what it committed was kept; it was not rolled back',
    hint: `Remove COMMIT or ROLLBACK from it, and check what it left.
If everything is there: mpm-migrate resolve ${entry.name} --tenant {tenant} --applied
If you reverted what it left: mpm-migrate resolve ${entry.name} --tenant {tenant} --rolled-back`,
  });
}

/** A lock that could not be had: the error says who holds it (engine 16). */
export function withHolders(error: MpmError, holders: readonly Holder[]): MpmError {
  const [first] = holders;
  if (error.database?.code !== SQLSTATE.lockNotAvailable || !first) return error;
  const { code, message, cause, database, excerpt, aftermath, migration } = error;
  const others = holders.length > 1 ? ` (and ${holders.length - 1} more)` : '';
  return new MpmError(code, `${message}: ${describeHolder(first)}${others}`, {
    cause,
    hint: `Wait for pid ${first.pid} to end, or end it: select pg_terminate_backend(${first.pid}); or wait longer with --lock-timeout.`,
    ...(database && { database }),
    ...(excerpt && { excerpt }),
    ...(aftermath && { aftermath }),
    ...(migration && { migration }),
  });
}

/** So often the lock is looked for: some minutes. */
const MOST_LOOKS = 300;

/**
 * Records that a migration ended the transaction that it was given. The lock ended with it: by now another runner may be
 * at work, or have applied this one itself.
 * @param open marks the head stamp open
 */
export async function recordEscape(
  { connection, history, applier, lock }: MigrationContext,
  migration: Migration,
  message: string,
  open: string | undefined,
): Promise<void> {
  const record = recordFailure(history, migration, applier, message);
  const statements = [BEGIN, lock.guard, record, ...(open ? [open] : []), 'commit'];
  for (let look = 0; ; look += 1) {
    try {
      await connection.send(statements.join(';\n'));
      return;
    } catch (error) {
      if (!connection.lost) await connection.query('rollback');
      if (!isGuard(error) || look >= MOST_LOOKS) throw error;
      await pause(look);
    }
  }
}
