import type { MpmError } from '../../errors.ts';
import type { Connection } from '../../postgres/connection.ts';
import type { Result } from '../../postgres/message.ts';

/** What a migration that is done has still to record: one transaction. */
export interface Carried {
  /** The migration's. */
  name: string;
  sql: string;
  /** Told when it is on its way. */
  onSent(): void;
  /** Sends it alone. @throws MpmError why the migration is not applied after all */
  send(): Promise<void>;
}

/** Thrown where what was carried could not be recorded. */
export class NotRecorded extends Error {
  readonly migration: string;
  override readonly cause: MpmError;

  constructor(migration: string, cause: MpmError) {
    super(cause.message);
    this.migration = migration;
    this.cause = cause;
  }
}

/** Carries the last record of a migration in front of the next message of its attempt: a round trip less (engine 47). */
export class Carrier {
  readonly #connection: Connection;
  #carried: Carried | undefined;

  constructor(connection: Connection) {
    this.#connection = connection;
  }

  carry(carried: Carried): void {
    this.#carried = carried;
  }

  /** Records what is carried. @throws NotRecorded */
  async settle(): Promise<void> {
    const carried = this.#carried;
    this.#carried = undefined;
    if (!carried) return;
    carried.onSent();
    try {
      await carried.send();
    } catch (error) {
      throw new NotRecorded(carried.name, error as MpmError);
    }
  }

  /**
   * Sends a message behind what is carried; where that could not be recorded so, behind it in another one.
   * @param send is given what comes first in the message, and throws what the server says; may be called twice
   * @throws NotRecorded; what `send` throws, once what is carried is recorded or the connection is lost
   */
  async inFront<T>(send: (carried: string) => Promise<T>): Promise<T> {
    const carried = this.#carried;
    if (!carried) return send('');
    carried.onSent();
    try {
      const answer = await send(`${carried.sql};\n`);
      this.#carried = undefined;
      return answer;
    } catch (error) {
      if (this.#connection.lost) throw error;
      if (behindCarried(this.#connection.answered)) {
        this.#carried = undefined;
        throw error;
      }
      if (this.#connection.transaction !== 'idle') await this.#connection.raw('rollback');
      await this.settle();
      return send('');
    }
  }
}

/** Of what a message was answered that began with what was carried, what is behind that; undefined where it failed. */
export function behindCarried(results: readonly Result[]): readonly Result[] | undefined {
  const end = results.findIndex(({ command }) => command === 'COMMIT');
  return end < 0 ? undefined : results.slice(end + 1);
}
