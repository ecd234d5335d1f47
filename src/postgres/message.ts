import pg from 'pg';

/** What one statement came to. */
export interface Result {
  /** Of its command tag: `SELECT`, `UPDATE`. */
  command: string;
  rowCount: number | null;
  rows: Record<string, unknown>[];
}

/** What one statement returned: every value as its text, null for null. */
export interface ResultTable {
  /** Of its command tag: `SELECT`, `UPDATE`. */
  command: string;
  rowCount: number | null;
  /** With the type's OID; none when the statement returns no rows. */
  columns: { name: string; type: number }[];
  rows: (string | null)[][];
}

/** What the server answered to one message of the simple protocol. */
export interface Answer {
  rows: Record<string, unknown>[];
  /** One per statement that returned a command tag. */
  results: Result[];
  /** What each COPY … TO STDOUT sent, in its text format. */
  copied: readonly string[];
}

export interface MessageOptions {
  /** So many statements at its beginning are not the sender's, and their results nobody's. */
  skip?: number;
  /**
   * What becomes of rows: `parsed` by default; `texts`: as the server sent them, in {@link Message.tables}; `dropped` as
   * they come: five million rows of statements that are not ours would be held for nobody (engine 45).
   */
  rows?: 'parsed' | 'texts' | 'dropped';
  /** With `dropped`: those with a column of this name are ours, and parsed. */
  keep?: string | undefined;
}

interface Field {
  name: string;
  dataTypeID: number;
}

type Row = (string | null)[];

/**
 * A message of the simple protocol: any number of statements, sent in pieces that are not copied together. What it was
 * answered can be read also when one of its statements failed. A Submittable of pg, as pg-cursor's and
 * pg-copy-streams' are: pg calls what begins with `handle`.
 */
export class Message {
  readonly #parts: readonly string[];
  readonly #options: MessageOptions;
  readonly #done: (error: Error | undefined) => void;
  readonly #results: Result[] = [];
  readonly #tables: ResultTable[] = [];
  readonly #copied: string[][] = [[]];
  #fields: Field[] = [];
  #rows: Row[] = [];
  /** What a row's columns are filled into: a column may be called `__proto__`. */
  #empty: Record<string, unknown> = {};
  #isDropped = false;

  /** @param done called once, when the server is ready for more, or with what went wrong */
  constructor(parts: readonly string[], options: MessageOptions, done: (error: Error | undefined) => void) {
    this.#parts = parts;
    this.#options = options;
    this.#done = done;
  }

  /** One per statement that is done. */
  get results(): Result[] {
    return this.#results.slice(this.#options.skip);
  }

  /** As far as its statements are done. */
  get answer(): Answer {
    const { results } = this;
    return {
      rows: results.at(-1)?.rows ?? [],
      results,
      copied: this.#copied.slice(0, -1).map((rows) => rows.join('')),
    };
  }

  get tables(): readonly ResultTable[] {
    return this.#tables;
  }

  submit(connection: pg.Connection): void {
    connection.stream.write(queryMessage(this.#parts));
  }

  handleRowDescription({ fields }: { fields: Field[] }): void {
    const { rows, keep } = this.#options;
    this.#fields = fields;
    this.#rows = [];
    this.#isDropped = rows === 'dropped' && !fields.some(({ name }) => name === keep);
    const empty = Object.create(null) as Record<string, unknown>;
    for (const { name } of fields) empty[name] = null;
    this.#empty = empty;
  }

  handleDataRow({ fields }: { fields: Row }): void {
    if (!this.#isDropped) this.#rows.push(fields);
  }

  handleCommandComplete({ text }: { text: string }): void {
    const [, command = '', oidOrCount, count = oidOrCount] = TAG.exec(text) ?? [];
    const rowCount = count === undefined ? null : Number(count);
    const { rows } = this.#options;
    if (rows === 'texts')
      this.#tables.push({ command, rowCount, columns: this.#fields.map(columnOf), rows: this.#rows });
    else if (rows === 'dropped' && this.#rows.length === 0) this.#results.push(withoutRows(command));
    else this.#results.push({ command, rowCount, rows: this.#parsedRows() });
    if (command === 'COPY' && rows !== 'dropped') this.#copied.push([]);
    this.#fields = [];
    this.#rows = [];
  }

  /** The parser overwrites the bytes with what comes next. */
  handleCopyData({ chunk }: { chunk: Buffer }): void {
    if (this.#options.rows !== 'dropped') this.#copied.at(-1)?.push(chunk.toString());
  }

  handleCopyInResponse(connection: pg.Connection & { sendCopyFail(message: string): void }): void {
    connection.sendCopyFail('COPY … FROM STDIN has no data.');
  }

  handleEmptyQuery(): void {}

  handleError(error: Error): void {
    this.#done(error);
  }

  handleReadyForQuery(): void {
    this.#done(undefined);
  }

  #parsedRows(): Record<string, unknown>[] {
    const columns = this.#fields.map(({ name, dataTypeID }) => ({
      name,
      parse: pg.types.getTypeParser(dataTypeID, 'text') as (text: string) => unknown,
    }));
    return this.#rows.map((texts) => {
      const row = { ...this.#empty };
      for (const [at, { name, parse }] of columns.entries()) {
        const text = texts[at] ?? null;
        row[name] = text === null ? null : parse(text);
      }
      return row;
    });
  }
}

/** `INSERT 0 3`, `SELECT 3`, `CREATE TABLE` (PostgreSQL manual, 55.7, CommandComplete). */
const TAG = /^([A-Za-z]+)(?: (\d+))?(?: (\d+))?/;

function columnOf({ name, dataTypeID }: Field): ResultTable['columns'][number] {
  return { name, type: dataTypeID };
}

const shared = new Map<string, Result>();

/** Half a million statements of one kind share it. */
function withoutRows(command: string): Result {
  const known = shared.get(command) ?? { command, rowCount: null, rows: [] };
  shared.set(command, known);
  return known;
}

/** A Query message of the protocol; pg would copy it once more. */
function queryMessage(parts: readonly string[]): Buffer {
  const size = parts.reduce((sum, part) => sum + Buffer.byteLength(part), 0);
  const message = Buffer.allocUnsafe(size + 6);
  message.write('Q');
  message.writeInt32BE(size + 5, 1);
  let at = 5;
  for (const part of parts) at += message.write(part, at);
  message.writeUInt8(0, at);
  return message;
}
