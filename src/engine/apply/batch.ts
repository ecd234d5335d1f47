import type { DatabaseTarget } from '../../postgres/connect.ts';
import type { Connection, SettingsAround } from '../../postgres/connection.ts';
import type { HistoryPosition } from '../history/fence.ts';
import { type Applier, type HistoryTable, SELECT_DATABASE, copySummary } from '../history/history.ts';
import { COPY_SCHEMAS, type TableRow, isPlain, reachOf, selectTableRow } from '../history/shape.ts';
import { parseSummary } from '../history/summary.ts';
import { guardTrusted, isExamined, noteExamined } from '../history/trust.ts';
import type { MigrationOptions, Script } from '../migration.ts';
import type { ModuleWatch } from '../module/module-process.ts';
import type { HeldLock } from '../outside/held-lock.ts';
import type { Carrier } from './carrier.ts';

/** Times in ms; 0 means none. */
export interface Timeouts {
  lockTimeout: number;
  statementTimeout: number;
  idleInTransactionTimeout: number;
}

/** Whether a database may be written to, as somebody knows who is asked under the lock. Rejects when it may not. */
export type Admit = () => Promise<void>;

export interface MigrationContext {
  connection: Connection;
  target: DatabaseTarget;
  history: HistoryTable;
  applier: Applier;
  timeouts: Timeouts;
  /** The connection's, around what is not ours. */
  settings: SettingsAround;
  /** That of the attempt, once it has come to a migration outside a transaction. */
  lock: HeldLock;
  /** Of what a migration outside a transaction has still to record. */
  carrier: Carrier;
  admit?: Admit | undefined;
  /** The plan was made from the head stamp: the history itself has not been read yet. */
  foreseen?: boolean | undefined;
  /** Of the run that modules are part of. */
  modules?: ModuleWatch | undefined;
  /** Takes what is worth a notice. */
  notice(text: string): void;
}

/** One migration on its bench, and the statements around it. */
export interface BatchEntry {
  context: MigrationContext;
  name: string;
  script: Script;
  /** What stands in front of the script in its message. */
  front: readonly string[];
  closing: readonly string[];
  /** Of a module: what stands around it is being closed, and what fails now is not its own code. */
  isClosing?: boolean;
}

const READ_COMMITTED = 'isolation level read committed';

/** @param mode the isolation level: explicit, because a role's default_transaction_* settings must not decide */
export function beginWith(mode: string = READ_COMMITTED): string {
  return `begin ${mode} read write`;
}

export const BEGIN = beginWith();

/**
 * A savepoint that is there as long as its transaction is: a migration that ends the one that it was given takes it
 * along, and then it cannot be released (engine 5). In an aborted transaction that fails as well (engine 4).
 */
export const SAVEPOINT = 'savepoint mpm_migrate';
export const RELEASE = 'release savepoint mpm_migrate';

/** Puts the session back as it was (engine 7), inside the transaction because behind a pooler the next one is a stranger's. */
export const RESTORE = ['reset session authorization', 'reset role', 'reset all', 'discard temp'];

/**
 * SET LOCAL, because session-level settings leak to strangers behind a pooler (engine 15); and not `set_config`,
 * because a new session looks a function up in its catalogs first.
 */
export function setTimeouts(timeouts: Timeouts, options: MigrationOptions): string[] {
  const setting = (name: string, ms: number) => `set local ${name} = ${ms}`;
  return [
    setting('lock_timeout', options.lockTimeout ?? timeouts.lockTimeout),
    setting('statement_timeout', options.statementTimeout ?? timeouts.statementTimeout),
    setting('idle_in_transaction_session_timeout', timeouts.idleInTransactionTimeout),
  ];
}

/** A transaction in one message; where somebody is asked under its lock, which `opening` takes, in two. */
export async function sendAdmitted(
  connection: Connection,
  opening: readonly string[],
  rest: readonly string[],
  admit: Admit | undefined,
): Promise<void> {
  if (admit) {
    await connection.send(opening.join(';\n'));
    await admit();
  }
  await connection.send((admit ? rest : [...opening, ...rest]).join(';\n'));
}

/** SQL units as one message in pieces, and where each one's script begins in it. */
export function composeBatch(entries: readonly BatchEntry[]): { parts: string[]; starts: number[] } {
  const parts: string[] = [];
  let length = 0;
  const add = (part: string) => {
    parts.push(part);
    length += part.length;
  };
  const starts = entries.map(({ script, front, closing }) => {
    if (script.kind !== 'sql') throw new Error('a module is no part of a message');
    add(`${front.join(';\n')};\n`);
    const start = length;
    add(script.sql);
    // The line break ends a comment in the script's last line.
    add(`\n;${closing.join(';\n')};\n`);
    return start;
  });
  return { parts, starts };
}

/** Thrown where the history is not the one that was planned from: another runner has moved it on. */
export const MOVED = new Error('the history is not the one that was planned from');

/**
 * Begins a transaction that changes the history: takes the lock, looks behind it whether the history is ours and still
 * the one that was planned from (engine 34, 38), and asks who is to be asked. One message, unless the history is unusual.
 * @param opening begins the transaction and takes the lock, or fails
 * @throws MOVED; what the server and `bench.admit` say
 */
export async function enter(
  context: MigrationContext,
  opening: readonly string[],
  position: HistoryPosition,
): Promise<void> {
  const { connection, history } = context;
  // Behind a stamp that fits, a table that is ours, and in nobody else's reach, is as it was left.
  const glance = context.foreseen === true && !isExamined(connection);
  const statements = [
    ...opening,
    ...(glance ? [] : guardTrusted(connection, history)),
    SELECT_DATABASE,
    ...(glance ? [selectTableRow(history), COPY_SCHEMAS] : []),
    copySummary(history),
  ];
  const { results, copied } = await connection.raw(statements.join(';\n'));
  if (glance) {
    const row = results.at(-3)?.rows[0] as TableRow | undefined;
    const ours =
      reachOf(connection, history, copied[0] ?? '') === 'ours' && isPlain(connection, history, row);
    if (!ours) await connection.raw(guardTrusted(connection, history).join(';\n'));
  }
  noteExamined(connection);
  const database = results.at(glance ? -4 : -2)?.rows[0]?.['database'];
  const found = parseSummary(copied.at(-1) ?? '');
  const same = found.last === position.last && found.fingerprint === position.fingerprint;
  if (!same || database !== connection.database) throw MOVED;
  await context.admit?.();
}

/** The first unit of a message is entered before the message is sent, unless it goes on from another one. */
export interface TransactionEntry extends BatchEntry {
  begin?: readonly string[];
  position?: HistoryPosition;
}
