import { MpmError } from '../../errors.ts';
import { connect, type DatabaseTarget } from '../../postgres/connect.ts';
import type { Connection } from '../../postgres/connection.ts';
import { isServerError } from '../../postgres/sqlstate.ts';
import { isGuard } from '../history/fence.ts';
import { GUARD, type HistoryTable } from '../history/history.ts';
import { lockAttempt, lockGuard, lockGuardShared } from '../history/lock-sql.ts';
import { guardTrusted, isUntrusted, noteExamined, refuseUntrusted } from '../history/trust.ts';

/** `locked`: another runner has it; `moved`: whose the history is changed, and it is to be looked at anew. */
type NotTaken = 'locked' | 'moved';

/**
 * The lock of an attempt, from its first migration outside a transaction to its end. It is held by a second connection
 * with an open transaction, because a transaction-level lock needs one and the statements must not be in it. Literals
 * only: a bind parameter leaves a portal open that pins a snapshot, and CREATE INDEX CONCURRENTLY waits for it for ever
 * (engine 14). What the attempt does in transactions meanwhile takes a share of it, so that nobody comes in between
 * when the second connection is lost.
 */
export class HeldLock {
  readonly #target: DatabaseTarget;
  readonly #history: HistoryTable;
  readonly #main: Connection;
  #connection: Connection | undefined;
  #again: Promise<void> | undefined;
  #closed = false;
  #since = 0;
  /** The statement that fails unless the history is still what the attempt has made of it, where nothing else asks. */
  expects: string | undefined;
  /** Called when it was lost and cannot be had again, for who does not ask before each statement. */
  onGone: (() => void) | undefined;

  /** @param main the connection that the attempt works on */
  constructor(target: DatabaseTarget, history: HistoryTable, main: Connection) {
    this.#target = { ...target, applicationName: `${target.applicationName}/lock` };
    this.#history = history;
    this.#main = main;
  }

  get isHeld(): boolean {
    return this.#connection !== undefined;
  }

  /** Since when it is held (`performance.now()`). */
  get since(): number {
    return this.#since;
  }

  /** In front of what a transaction of the attempt does: takes the lock, or its share of it, or fails. */
  get guard(): string {
    return this.isHeld ? lockGuardShared(this.#history) : lockGuard(this.#history);
  }

  /**
   * Takes it, where it is not held yet.
   * @throws MpmError where the history is not to be trusted; as {@link ensure}
   */
  async take(): Promise<'held' | NotTaken> {
    if (this.#connection) {
      await this.ensure();
      return 'held';
    }
    const taken = await this.#acquire();
    if (typeof taken === 'string') return taken;
    this.#hold(taken);
    return 'held';
  }

  /**
   * To be called before each statement: that the lock is held. Where its connection was lost it is taken again, and the
   * history must be as it was (engine 60).
   * @throws MpmError INTERRUPTED when it cannot be had, or the history was changed
   */
  async ensure(): Promise<void> {
    if (this.#connection?.lost) this.#again ??= this.#takeAgain();
    await this.#again;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#again?.catch(() => undefined);
    await this.#connection?.close();
  }

  #hold(connection: Connection): void {
    this.#connection = connection;
    this.#since = performance.now();
    connection.onLost(() => {
      // A transaction of the attempt has its share: once that is over, whoever comes next takes the lock again.
      if (this.#closed || this.expects === undefined) return;
      this.ensure().catch(() => this.onGone?.());
    });
  }

  async #takeAgain(): Promise<void> {
    const taken = await this.#acquire();
    if (typeof taken === 'string') throw lockLost('another runner has it now');
    this.#hold(taken);
    try {
      if (this.expects !== undefined) await taken.send(this.expects);
    } catch (error) {
      throw isGuard(error) ? lockLost('the history was changed meanwhile') : error;
    }
    this.#again = undefined;
  }

  async #acquire(): Promise<Connection | NotTaken> {
    const statements = [
      'begin isolation level read committed',
      'set local idle_in_transaction_session_timeout = 0',
      ...lockAttempt(this.#history),
      ...guardTrusted(this.#main, this.#history),
    ];
    const connection = await connect(this.#target);
    try {
      await connection.send(statements.join(';\n'));
      noteExamined(this.#main);
      return connection;
    } catch (error) {
      await connection.close();
      if (isServerError(error) && error.message.includes(GUARD.locked)) return 'locked';
      if (!isUntrusted(error)) throw error;
      await refuseUntrusted(this.#main, this.#history);
      return 'moved';
    }
  }
}

function lockLost(why: string): MpmError {
  return new MpmError('INTERRUPTED', `the connection that held the lock was lost, and ${why}`, {
    hint: 'Find out what ends connections that are "idle in transaction": the one whose name ends in /lock holds the lock.',
  });
}
