import type { Socket } from 'node:net';
import type { Kysely } from 'kysely';
import pg from 'pg';
import type { KyselyOptions } from './kysely.ts';
import { boundError, isServerError, SQLSTATE, sqlstateOf } from './sqlstate.ts';

/** What the server answered to one message of the simple protocol. */
export interface Answer {
  rows: Record<string, unknown>[];
  /** One per statement that returned a command tag. */
  results: Result[];
  /** What COPY … TO STDOUT sent, in its text format. */
  copied: string;
}

/** What one statement returned. */
export interface Result {
  command: string;
  rowCount: number | null;
  rows: Record<string, unknown>[];
}

type Results = pg.QueryArrayResult<(string | null)[]>;

/** A message of the simple protocol. What it was answered can be read also when one of its statements failed. */
class Message extends pg.Query {
  /** pg's own. */
  declare readonly _results: Results | Results[];
  readonly #copied: string[] = [];

  /** One per statement that is done. */
  get results(): Results[] {
    return [this._results].flat().filter(({ command }) => command);
  }

  get copied(): string {
    return this.#copied.join('');
  }

  /** Called by pg, whose parser overwrites the bytes with what comes next. */
  handleCopyData({ chunk }: { chunk: Buffer }): void {
    this.#copied.push(chunk.toString());
  }
}

/** What one statement returned: every value as its text, null for null. */
export interface ResultTable {
  /** Of its command tag; `SELECT`, `UPDATE`. */
  command: string;
  rowCount: number | null;
  /** With the type's OID; none when the statement returns no rows. */
  columns: { name: string; type: number }[];
  rows: (string | null)[][];
}

/** One connection to one database. A dead connection is an error of the query in work, never of the process. */
export class Connection {
  readonly #client: pg.Client;
  #answered: readonly Result[] = [];
  #lost: Error | undefined;
  /** The error of the last query that failed; what a migration swallowed. */
  lastError: unknown;

  constructor(client: pg.Client) {
    this.#client = client;
    // Without a listener, a FATAL on an idle client ends the whole process.
    client.on('error', (error) => {
      this.#lost ??= error;
    });
  }

  /** Simple protocol, any number of statements in one message; the last one's rows. */
  async query<R = Record<string, unknown>>(sql: string): Promise<R[]> {
    return (await this.send(sql)).rows as R[];
  }

  /** As {@link query}, with what each statement returned. */
  async send(sql: string): Promise<Answer> {
    const message = await this.#message({ text: sql });
    const results = message.results as unknown as Result[];
    return { rows: results.at(-1)?.rows ?? [], results, copied: message.copied };
  }

  /** Extended protocol: one statement with values for $1, $2, …. */
  async prepared<R = Record<string, unknown>>(sql: string, values: unknown[]): Promise<R[]> {
    return ((await this.execute(sql, values)) as { rows: R[] }).rows;
  }

  /** One statement with all that pg says of its outcome; with values by the extended protocol. */
  execute(sql: string, values?: unknown[]): Promise<pg.QueryResult> {
    return this.#run(() => this.#client.query(sql, values?.length ? values : undefined));
  }

  /** As {@link send}, with what is to be shown of it: columns, and rows as the texts that the server sent. */
  async read(sql: string): Promise<ResultTable[]> {
    const types = { getTypeParser: () => (text: string) => text };
    const { results } = await this.#message({ text: sql, rowMode: 'array', types } as pg.QueryConfig);
    return results.map(({ command, rowCount, fields, rows }) => ({
      command,
      rowCount,
      columns: fields.map(({ name, dataTypeID }) => ({ name, type: dataTypeID })),
      rows,
    }));
  }

  async #message(config: pg.QueryConfig): Promise<Message> {
    return this.#run(
      () =>
        new Promise<Message>((resolve, reject) => {
          const message = new Message(config, (error) => {
            this.#answered = message.results as unknown as Result[];
            if (error) reject(error);
            else resolve(message);
          });
          this.#client.query(message);
        }),
    );
  }

  async #run<T>(query: () => Promise<T>): Promise<T> {
    if (this.#lost) throw this.#lost;
    this.#answered = [];
    try {
      return await query();
    } catch (error) {
      boundError(error);
      // 25P02 only repeats that an earlier statement failed.
      if (sqlstateOf(error) !== SQLSTATE.inFailedTransaction) this.lastError = error;
      // A FATAL that ended the session says more than the socket's end that follows it.
      throw this.#lost && !isServerError(error) ? this.#lost : error;
    }
  }

  /** Kysely on this one pinned connection; transactions are the caller's business. */
  async kysely<DB>(options: KyselyOptions = {}): Promise<Kysely<DB>> {
    const { kyselyOn } = await import('./kysely.ts');
    return kyselyOn<DB>((sql, values) => this.execute(sql, values), options);
  }

  /** What the statements of the last message returned that were completed, also of one that failed. */
  get answered(): readonly Result[] {
    return this.#answered;
  }

  get lost(): Error | undefined {
    return this.#lost;
  }

  /** `idle`: no transaction; `open`: in one; `failed`: in an aborted one, where COMMIT means ROLLBACK. */
  get transaction(): 'idle' | 'open' | 'failed' {
    const status = this.#client.getTransactionStatus();
    return status === 'E' ? 'failed' : status === 'T' ? 'open' : 'idle';
  }

  /** The backend's pid as the server, or a pooler in between, told it at connect. */
  get backendPid(): number {
    return (this.#client as unknown as { processID: number }).processID;
  }

  get database(): string {
    return this.#client.database ?? '';
  }

  /** Called when the connection is gone, maybe more than once; not when it was closed by us. */
  onLost(listener: () => void): void {
    this.#client.on('error', listener);
  }

  /** What other sessions send to a channel that this one listens to. */
  onNotification(listener: (payload: string) => void): void {
    this.#client.on('notification', ({ payload }) => listener(payload ?? ''));
  }

  /** Whether the process goes on for its sake; at first it does. */
  keepAlive(yes: boolean): void {
    const socket = this.#client.connection.stream as Socket;
    if (yes) socket.ref();
    else socket.unref();
  }

  /** Ends it at once, whatever is in work; the server rolls back. */
  cut(): void {
    this.#client.connection.stream.destroy();
  }

  /** Ends it without waiting until the server is done with it: who copies or renames the database next would meet it. */
  leave(): void {
    void this.close();
  }

  async close(): Promise<void> {
    // end() of a client whose socket is gone already never settles on some paths of pg.
    if (this.#lost) this.#client.connection.stream.destroy();
    else await this.#client.end().catch(() => undefined);
  }
}
