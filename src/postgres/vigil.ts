import { literal } from './quote.ts';
import { isConnectionLoss, isServerError } from './sqlstate.ts';

/**
 * What another connection sees of a backend: `working`; `done`, or gone: its answer is lost; `hidden` behind a pooler,
 * whose pids are not the server's; `unreachable`.
 */
export type Sight = 'working' | 'done' | 'hidden' | 'unreachable';

/** How a connection that says nothing is looked after (engine 61). */
export interface Vigil {
  /** ms of silence before it is looked after, and between two looks. */
  every: number;
  /** @param patience ms that the look may take to connect */
  look(pid: number, patience: number): Promise<Sight>;
}

/** The connection that looks. */
interface Looker {
  readonly backendPid: number | undefined;
  query<T>(sql: string): Promise<T[]>;
  leave(): void;
}

/** ms for which an answer may be on its way: it is not lost yet. */
const ON_ITS_WAY = 1000;

/**
 * Asks on another connection to the same database. A session that is given up holds its locks no longer; it is known by
 * its application_name, because the pid may be somebody else's by now.
 */
export async function sightOf(
  open: () => Promise<Looker>,
  { pid, applicationName }: { pid: number; applicationName: string },
): Promise<Sight> {
  let other: Looker | undefined;
  try {
    other = await open();
    const [row] = await other.query<{ own: number; working: boolean }>(
      `select pg_catalog.pg_backend_pid() as own, coalesce((select coalesce(a.state, 'active') not in ('idle', 'idle in transaction', 'idle in transaction (aborted)')
  or pg_catalog.clock_timestamp() - a.state_change < interval '${ON_ITS_WAY} ms' from pg_catalog.pg_stat_activity a where a.pid = ${pid}), false) as working`,
    );
    if (!row || row.own !== other.backendPid) return 'hidden';
    if (row.working) return 'working';
    await other.query(`select pg_catalog.pg_terminate_backend(a.pid) from pg_catalog.pg_stat_activity a
where a.pid = ${pid} and a.application_name = ${literal(applicationName)}`);
    return 'done';
  } catch (error) {
    // One that says why it does not let us in is there.
    const cause = error instanceof Error ? (error.cause ?? error) : error;
    return isServerError(cause) && !isConnectionLoss(cause) ? 'working' : 'unreachable';
  } finally {
    other?.leave();
  }
}

/** ms between two looks while somebody waits for the end, or after one that came to nothing. */
const SOON = 1000;
/** ms that a look may take to connect: in general, and while somebody waits for the end. */
const PATIENCE = { usual: 10_000, hurried: 2000 };

/** A message that was sent. */
export interface Watched {
  /** Of the backend that works at it. */
  pid: number;
  /** Somebody wants it to end. */
  hurried: boolean;
  bytesRead(): number;
  /** Its answer does not come any more. */
  onLost(): void;
}

/** Watches over one message until it is answered. */
export class Watch {
  readonly #vigil: Vigil;
  readonly #message: Watched;
  #timer: NodeJS.Timeout | undefined;
  #looking = false;
  #ended = false;
  #hurried: boolean;
  #failures = 0;

  constructor(vigil: Vigil, message: Watched) {
    this.#vigil = vigil;
    this.#message = message;
    this.#hurried = message.hurried;
    this.#later(this.#pause);
  }

  /** Somebody wants it to end: looks at once, and more often. */
  hurry(): void {
    this.#hurried = true;
    if (!this.#looking && !this.#ended) this.#later(0);
  }

  end(): void {
    this.#ended = true;
    clearTimeout(this.#timer);
  }

  get #pause(): number {
    return this.#hurried ? Math.min(this.#vigil.every, SOON) : this.#vigil.every;
  }

  #later(ms: number): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#look(), ms);
  }

  async #look(): Promise<void> {
    const { pid, bytesRead, onLost } = this.#message;
    const before = bytesRead();
    this.#looking = true;
    const sight = await this.#vigil.look(pid, this.#hurried ? PATIENCE.hurried : PATIENCE.usual);
    this.#looking = false;
    if (this.#ended || sight === 'hidden') return;
    this.#failures = sight === 'unreachable' ? this.#failures + 1 : 0;
    const gone = sight === 'done' || this.#failures >= (this.#hurried ? 1 : 2);
    if (gone && bytesRead() === before) onLost();
    else this.#later(sight === 'unreachable' ? Math.min(this.#pause, SOON) : this.#pause);
  }
}
