import type { Central } from '../central/central.ts';
import { finishShard, joinRun } from '../central/shards.ts';
import { type RunRow, createRun, finishRun, outcomeOf } from '../central/runs.ts';
import { parseShard, type Shard } from '../config/shard.ts';
import { MpmError, asMpmError } from '../errors.ts';
import type { TenantResult, RunReport } from './report/report.ts';
import { type Selection, describeSelection } from './select.ts';
import type { Survey } from './schedule/sweep.ts';

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

/** Writes the run's row; its number, or null when there is nobody to run for. */
export async function openRun(
  central: Central,
  { total, filter }: Survey,
  head: { verb: string; selection: string; toolVersion: string },
  selection: Selection,
  key: string | undefined,
): Promise<number | null> {
  // A slice without tenants is a part all the same: the run ends with the last of them.
  if (total === 0 && key === undefined) return null;
  const { actor } = central.config;
  if (key === undefined) return createRun(central, { ...head, filter, total, actor });
  // What `--failed` of the run means later is all of the deployment.
  const { shard: _, ...whole } = filter;
  const { shard: __, ...said } = selection;
  const words = describeSelection(said);
  const shard = shardOf(selection);
  return joinRun(central, { ...head, selection: words, filter: whole, total, actor, key, shard });
}

/** Which slice of its run this is. */
export function shardOf({ shard }: Selection): Shard {
  return shard === undefined ? { index: 1, of: 1 } : parseShard(shard);
}

/** Writes the end of a run, or of one's part of it. */
export function closeRun(
  central: Central,
  run: number,
  part: number | undefined,
  end: RunReport,
): Promise<void> {
  if (part === undefined) return finishRun(central, run, end);
  return finishShard(central, run, part, { ...end, outcome: outcomeOf(end) });
}

/** What is told of another run that is in progress. */
export function describeActive({
  number,
  verb,
  selection,
  actor,
  databaseUser,
  host,
  startedAt,
}: RunRow): string {
  const who = `${actor ?? databaseUser} on ${host}`;
  return `Run ${number} (${verb} ${selection}) is in progress, by ${who} since ${startedAt}; two at once are safe.`;
}
