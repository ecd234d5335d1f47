import pg from 'pg';

/** A message from the server, as pg's parser hands it on. */
interface FromServer {
  fields: unknown[];
  text: string;
}

/**
 * Statements that are not ours, in one message: what they return is dropped as it comes, because five million rows would
 * be held for nobody (engine 45). Only rows with a column of the name `keep` are ours.
 */
export class Drain extends pg.Query {
  /** pg's own. */
  declare readonly _results: Result | Result[];
  /** One per statement that is done. */
  readonly results: Result[] = [];
  readonly copied: readonly string[] = [];
  readonly #parts: readonly string[];
  readonly #keep: string | undefined;
  #keeps = false;

  /** @param parts the message, in pieces that are not copied together */
  constructor(parts: readonly string[], keep: string | undefined, done: (error: Error) => void) {
    super({ text: '' }, done);
    this.#parts = parts;
    this.#keep = keep;
  }

  /** Called by pg. */
  override submit = (connection: pg.Connection): void => {
    connection.stream.write(queryMessage(this.#parts));
  };

  handleRowDescription(message: { fields: { name: string }[] }): void {
    this.#keeps = message.fields.some(({ name }) => name === this.#keep);
    if (this.#keeps) pgs.handleRowDescription.call(this, message);
  }

  handleDataRow(message: FromServer): void {
    if (this.#keeps) pgs.handleDataRow.call(this, message);
  }

  handleCommandComplete(message: FromServer, connection: pg.Connection): void {
    if (this.#keeps) {
      pgs.handleCommandComplete.call(this, message, connection);
      this.results.push(...[this._results].flat().slice(-1));
    } else {
      this.results.push(resultOf(message.text));
    }
    this.#keeps = false;
  }

  handleCopyData(): void {}
}

/** What pg's own types do not say. */
const pgs = pg.Query.prototype as unknown as Record<
  'handleRowDescription' | 'handleDataRow' | 'handleCommandComplete',
  (message: unknown, connection?: unknown) => void
>;

const results = new Map<string, Result>();

/** Without rows; half a million statements of one kind share it. */
function resultOf(tag: string): Result {
  const [command = ''] = /^[A-Za-z]+/.exec(tag) ?? [];
  const known = results.get(command) ?? { command, rowCount: null, rows: [] };
  results.set(command, known);
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

/** What one statement returned. */
export interface Result {
  command: string;
  rowCount: number | null;
  rows: Record<string, unknown>[];
}
