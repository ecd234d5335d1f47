import type pg from 'pg';
import { MpmError } from '../errors.ts';
import type { Connection } from './connection.ts';
import { isServerError } from './sqlstate.ts';

/** A pooled connection while somebody has it. */
export class Lease {
  readonly #connection: Connection;
  readonly #onRelease: (usable: boolean) => void;
  #released = false;
  #broken = false;

  constructor(connection: Connection, onRelease: (usable: boolean) => void) {
    this.#connection = connection;
    this.#onRelease = onRelease;
  }

  async query(sql: string, values?: unknown[]): Promise<pg.QueryResult> {
    // It may be somebody else's by now.
    if (this.#released) throw new MpmError('BUG', 'a query on a connection that was given back');
    try {
      return await this.#connection.execute(sql, values);
    } catch (error) {
      if (endsSession(error)) this.#broken = true;
      throw error;
    }
  }

  /** Gives it back; twice is once. One that is broken, or in the middle of a transaction, is not used again. */
  release(): void {
    if (this.#released) return;
    this.#released = true;
    const { lost, transaction } = this.#connection;
    this.#onRelease(!this.#broken && !lost && transaction === 'idle');
  }
}

/** After this error the connection is of no more use; the server says so a moment before the socket ends. */
export function endsSession(error: unknown): boolean {
  return !isServerError(error) || /^(57P0|08)/.test(error.code);
}
