import { MpmError, asMpmError } from '../errors.ts';
import type { TenantResult } from './report.ts';

/** ms until a result is written at the latest (fleet 8). */
const DELAY = 500;
/** Begun to be written when so many are gathered: while the next ones come in, the server is at these. */
const BATCH = 100;
/** When writing is slower than the lanes, they wait from here on: memory stays flat. */
const MOST_UNWRITTEN = 2000;

/**
 * Gathers results and writes them in batches, at most a second after they came. When a batch cannot be written
 * the run goes on without the ledger: `onBroken` is told once, and `error` says why (fleet 11).
 */
export class LedgerWriter {
  readonly #write: (batch: readonly TenantResult[]) => Promise<void>;
  readonly #onBroken: (error: MpmError) => void;
  #gathered: TenantResult[] = [];
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> | undefined;
  #unwritten = 0;
  /** What is gathered is to be written, however little it is. */
  #due = false;
  error: MpmError | undefined;

  constructor(
    write: (batch: readonly TenantResult[]) => Promise<void>,
    onBroken: (error: MpmError) => void = () => undefined,
  ) {
    this.#write = write;
    this.#onBroken = onBroken;
  }

  /** Resolves at once, or when there is room again. */
  async record(result: TenantResult): Promise<void> {
    if (this.error) return;
    this.#gathered.push(result);
    this.#unwritten += 1;
    this.#timer ??= setTimeout(() => this.#flushAll(), DELAY);
    if (this.#gathered.length >= BATCH) this.#flush();
    if (this.#unwritten >= MOST_UNWRITTEN) await this.#writing;
  }

  /** Writes what is gathered; never rejects. */
  async close(): Promise<void> {
    this.#flushAll();
    await this.#writing;
  }

  /** For what else is written to the ledger, such as the run's end: fails as a batch does. */
  async attempt(write: () => Promise<void>): Promise<void> {
    if (this.error) return;
    await write().catch((error: unknown) => this.#break(error));
  }

  #flushAll(): void {
    this.#due = true;
    this.#flush();
  }

  /** One batch after the other: they share the one connection to the central database. */
  #flush(): void {
    this.#writing ??= this.#writeGathered().finally(() => {
      this.#writing = undefined;
    });
  }

  async #writeGathered(): Promise<void> {
    while (this.#gathered.length >= (this.#due ? 1 : BATCH)) {
      clearTimeout(this.#timer);
      this.#timer = undefined;
      this.#due = false;
      const batch = this.#gathered;
      this.#gathered = [];
      await this.attempt(() => this.#write(batch));
      this.#unwritten -= batch.length;
    }
  }

  #break(error: unknown): void {
    const cause = asMpmError(error);
    this.#gathered = [];
    this.error = new MpmError('LEDGER_LOST', `the ledger cannot be written: ${cause.message}`, {
      hint: 'The tenants were migrated all the same; their own histories say so. Look: mpm-migrate central status',
      cause: error,
      ...(cause.database ? { database: cause.database } : {}),
    });
    this.#onBroken(this.error);
  }
}
