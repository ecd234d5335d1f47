import { MpmError } from '../errors.ts';
import type { AddressSource, ConnectionConfig, ConnectionRequest, UrlPlace } from '../postgres/address.ts';

/** Gives a connection's configuration when one is about to be opened. */
export type ConnectionFunction = (request: ConnectionRequest) => ConnectionConfig | Promise<ConnectionConfig>;

/** A server whose connections a function of the configuration describes, one by one. */
export class ConnectionSource implements AddressSource {
  readonly name: string;
  place?: UrlPlace;
  readonly #ask: ConnectionFunction;
  readonly #server: string;
  readonly database: string;
  readonly #timeLimit: number;

  /**
   * @param name where the function is in the configuration
   * @param options.database where none is asked for, and the function names none
   * @param options.timeLimit ms; 0 is none
   */
  constructor(
    name: string,
    ask: ConnectionFunction,
    { server, database, timeLimit }: { server: string; database: string; timeLimit: number },
  ) {
    this.name = name;
    this.#ask = ask;
    this.#server = server;
    this.database = database;
    this.#timeLimit = timeLimit;
  }

  async lookUp({
    database = this.database,
    ...request
  }: Omit<ConnectionRequest, 'server' | 'database'> & {
    database?: string | undefined;
  }): Promise<ConnectionConfig> {
    const found: unknown = await this.#inTime(async () =>
      this.#ask({ server: this.#server, database, ...request }),
    ).catch((error: unknown) => {
      throw new MpmError(
        'CONNECTION',
        `${this.name} failed: ${error instanceof Error ? error.message : String(error)}`,
        {
          subject: this.name,
          cause: error,
          hint: 'See this function in the configuration.',
        },
      );
    });
    if (!isObject(found)) {
      throw new MpmError('CONFIG_INVALID', `${this.name} didn't return an object`, {
        subject: this.name,
        hint: "Return the driver's configuration: { host, port, user, password, ssl }.",
      });
    }
    return found;
  }

  async #inTime<T>(ask: () => Promise<T>): Promise<T> {
    if (!this.#timeLimit) return ask();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(
        () => reject(new Error(`it took longer than ${this.#timeLimit} ms`)),
        this.#timeLimit,
      );
    });
    return Promise.race([ask(), late]).finally(() => clearTimeout(timer));
  }
}

export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
