import type pg from 'pg';
import { MpmError } from '../errors.ts';
import type { Connection } from './connection.ts';
import { databaseFields, isServerError, SQLSTATE, sqlstateOf } from './sqlstate.ts';

/**
 * Looks at SQL before it is sent.
 * @returns true when its session must not go to another borrower afterwards
 * @throws what keeps it from being sent at all
 */
export type Watch = (sql: string) => boolean | Promise<boolean>;

/** A pooled connection while somebody has it. */
export class Lease {
  readonly #connection: Connection;
  readonly #onRelease: (usable: boolean) => void;
  readonly #watch: Watch | undefined;
  #released = false;
  /** Not to be lent again: broken, or its session was changed. */
  #spent = false;
  #inWork = 0;
  /** The first that failed in this transaction, or since the last statement that worked outside of one. */
  #failure: unknown;

  constructor(connection: Connection, onRelease: (usable: boolean) => void, watch?: Watch) {
    this.#connection = connection;
    this.#onRelease = onRelease;
    this.#watch = watch;
  }

  /** @throws MpmError TRANSACTION_ABORTED; USAGE once it was given back; what `watch` throws, and the server's errors */
  async query(sql: string, values?: unknown[]): Promise<pg.QueryResult> {
    return this.#work(async () => {
      if (this.#watch && !this.#spent) {
        const spent = this.#watch(sql);
        this.#spent = typeof spent === 'boolean' ? spent : await spent;
      }
      const result = await this.#connection.execute(sql, values);
      if (endedByRollback(sql, result)) throw aborted(this.#failure);
      if (this.#connection.transaction === 'idle') this.#failure = undefined;
      return result;
    });
  }

  /** Statements of ours, behind settings of our own; the last one's rows. Throws as `query`. */
  own<R>(sql: string): Promise<R[]> {
    return this.#work(() => this.#connection.query<R>(sql));
  }

  async #work<T>(act: () => Promise<T>): Promise<T> {
    // It may be somebody else's by now.
    if (this.#released) throw givenBack();
    this.#inWork += 1;
    try {
      return await act();
    } catch (error) {
      if (sqlstateOf(error) !== SQLSTATE.inFailedTransaction) this.#failure ??= error;
      if (endsSession(error)) this.#spent = true;
      throw error;
    } finally {
      this.#inWork -= 1;
      if (this.#released && !this.#inWork) this.#giveBack();
    }
  }

  /**
   * Gives it back; twice is once. Nobody else gets it before what was sent is answered, also what nobody waits for:
   * a `begin` on its way would take in the next borrower's statements. One that is broken or changed, or in the
   * middle of a transaction, is not used again.
   */
  release(): void {
    if (this.#released) return;
    this.#released = true;
    if (!this.#inWork) this.#giveBack();
  }

  #giveBack(): void {
    const { lost, transaction } = this.#connection;
    this.#onRelease(!this.#spent && !lost && transaction === 'idle');
  }
}

/** After this error the connection is of no more use; the server says so a moment before the socket ends. */
export function endsSession(error: unknown): boolean {
  if (error instanceof MpmError) return false;
  return !isServerError(error) || /^(57P0|08)/.test(error.code);
}

const COMMITS = /^(?:\s|--[^\n]*\n|\/\*[^]*?\*\/)*(?:commit|end|prepare\s+transaction)\b/i;

/** In a transaction whose statement failed, the server answers COMMIT with ROLLBACK, and no error. */
function endedByRollback(sql: string, result: pg.QueryResult | pg.QueryResult[]): boolean {
  const [first] = [result].flat();
  return first?.command === 'ROLLBACK' && COMMITS.test(sql);
}

function aborted(failure: unknown): MpmError {
  const why = failure instanceof Error ? `: ${failure.message}` : '';
  return new MpmError(
    'TRANSACTION_ABORTED',
    `the transaction was rolled back, not committed, because one of its statements failed${why}`,
    {
      cause: failure,
      ...(isServerError(failure) ? { database: databaseFields(failure) } : {}),
      hint: "Let a statement's error end the transaction; or set a savepoint before it, and roll back to that.",
    },
  );
}

function givenBack(): MpmError {
  return new MpmError('USAGE', 'a query on a connection that was already returned', {
    hint: 'Await each query before the call that borrowed the connection ends: transaction().execute(…), connection().execute(…).',
  });
}
