import { MpmError, asMpmError } from '../errors.ts';
import type { TenantResult } from './report.ts';

/** ms until a result is written at the latest (fleet 8). */
const DELAY = 500;
/** Written at once when so many are gathered. */
const BATCH = 500;
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
  #writing: Promise<void> = Promise.resolve();
  #unwritten = 0;
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
    if (this.#gathered.length >= BATCH) this.#flush();
    this.#timer ??= setTimeout(() => this.#flush(), DELAY);
    if (this.#unwritten >= MOST_UNWRITTEN) await this.#writing;
  }

  /** Writes what is gathered; never rejects. */
  async close(): Promise<void> {
    this.#flush();
    await this.#writing;
  }

  /** For what else is written to the ledger, such as the run's end: fails as a batch does. */
  async attempt(write: () => Promise<void>): Promise<void> {
    if (this.error) return;
    await write().catch((error: unknown) => this.#break(error));
  }

  #flush(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const batch = this.#gathered;
    this.#gathered = [];
    if (batch.length === 0) return;
    // One after the other: they share the one connection to the central database.
    this.#writing = this.#writing.then(async () => {
      await this.attempt(() => this.#write(batch));
      this.#unwritten -= batch.length;
    });
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
