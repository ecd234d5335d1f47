import { MpmError } from '../../errors.ts';
import { connect } from '../../postgres/connect.ts';
import type { Connection } from '../../postgres/connection.ts';
import { isServerError } from '../../postgres/sqlstate.ts';
import { GUARD, lockGuard, tableName } from '../history/history.ts';
import { guardTrusted, isUntrusted, refuseUntrusted } from '../history/trust.ts';
import type { MigrationContext } from '../apply/batch.ts';

/** `locked`: another runner has it; `moved`: whose the history is changed, and it is to be looked at anew. */
type NotTaken = 'locked' | 'moved';

/**
 * The lock of an attempt outside a transaction. It is held by a second connection with an open transaction, because a
 * transaction-level lock needs one and the statements must not be in it. Literals only: a bind parameter leaves a portal
 * open that pins a snapshot, and CREATE INDEX CONCURRENTLY waits for it for ever (engine 14).
 */
export class HeldLock {
  readonly #bench: MigrationContext;
  #connection: Connection;
  /** What the history was when the attempt had claimed its row. */
  #contents: string | undefined;
  #again: Promise<void> | undefined;
  readonly #onGone: (() => void) | undefined;
  #closed = false;

  private constructor(context: MigrationContext, connection: Connection, onGone: (() => void) | undefined) {
    this.#bench = context;
    this.#onGone = onGone;
    this.#connection = connection;
    this.#watch();
  }

  /**
   * @param onGone called when it was lost and cannot be had again, for who does not ask before each statement
   * @throws MpmError where the history is not to be trusted
   */
  static async take(context: MigrationContext, onGone?: () => void): Promise<HeldLock | NotTaken> {
    const taken = await acquire(context);
    return typeof taken === 'string' ? taken : new HeldLock(context, taken, onGone);
  }

  /** Remembers what the history is, with the attempt's own row in it. */
  async remember(): Promise<void> {
    this.#contents = await contentsOf(this.#connection, this.#bench);
  }

  /**
   * To be called before each statement: that the lock is held. Where its connection was lost it is taken again, and the
   * history must be as it was (engine 60).
   * @throws MpmError INTERRUPTED when it cannot be had, or the history was changed
   */
  async ensure(): Promise<void> {
    if (this.#connection.lost) this.#again ??= this.#takeAgain();
    await this.#again;
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#again?.catch(() => undefined);
    await this.#connection.close();
  }

  #watch(): void {
    this.#connection.onLost(() => {
      if (this.#closed) return;
      this.ensure().catch(() => this.#onGone?.());
    });
  }

  async #takeAgain(): Promise<void> {
    const taken = await acquire(this.#bench);
    if (typeof taken === 'string') throw lockLost('another runner has it now');
    this.#connection = taken;
    if (this.#contents !== (await contentsOf(taken, this.#bench))) {
      throw lockLost('the history was changed meanwhile');
    }
    this.#again = undefined;
    this.#watch();
  }
}

async function acquire(context: MigrationContext): Promise<Connection | NotTaken> {
  const { target, history } = context;
  const statements = [
    'begin isolation level read committed',
    'set local idle_in_transaction_session_timeout = 0',
    lockGuard(history),
    ...guardTrusted(context.connection, history),
  ];
  const connection = await connect({ ...target, applicationName: `${target.applicationName}/lock` });
  try {
    await connection.send(statements.join(';\n'));
    return connection;
  } catch (error) {
    await connection.close();
    if (isServerError(error) && error.message.includes(GUARD.locked)) return 'locked';
    if (!isUntrusted(error)) throw error;
    await refuseUntrusted(context.connection, history);
    return 'moved';
  }
}

async function contentsOf(connection: Connection, { history }: MigrationContext): Promise<string> {
  const [row] = await connection.query<{ contents: string }>(
    `select coalesce(pg_catalog.string_agg(pg_catalog.concat_ws(' ', position, name, checksum, state), e'\\n' order by position), '') as contents from ${tableName(history)}`,
  );
  return row?.contents ?? '';
}

function lockLost(why: string): MpmError {
  return new MpmError('INTERRUPTED', `the connection that held the lock was lost, and ${why}`, {
    hint: 'Find out what ends connections that are "idle in transaction": the one whose name ends in /lock holds the lock.',
  });
}
