import type { Config } from '../../config/define.ts';
import { errorReport, MpmError } from '../../errors.ts';
import { type Duration, DURATION_FORM, parseDuration } from '../../pace.ts';
import { connect } from '../../postgres/connect.ts';
import type { Connection } from '../../postgres/connection.ts';
import { directUrlOf } from '../../tenants/server.ts';
import { oneLine } from '../../text.ts';

/** A streaming replica, as its server sees it. WAL positions in bytes. */
interface Replica {
  name: string | null;
  address: string | null;
  /** Null where the role may not read it (PostgreSQL manual, 27.2.4). */
  state: string | null;
  replayed: string | null;
  /** Ms, as the server measures it. */
  lag: number | null;
}

/** Ms between two looks at a server. */
const EVERY = 1000;
/** Of the positions that were written, so many are remembered: at one a look, an hour. */
const MOST_POSITIONS = 3600;

const SELECT_REPLICAS = `select pg_catalog.pg_wal_lsn_diff(pg_catalog.pg_current_wal_lsn(), '0/0')::text as written,
  coalesce((select pg_catalog.json_agg(pg_catalog.json_build_object('name', application_name, 'address', client_addr, 'state', state,
    'replayed', pg_catalog.pg_wal_lsn_diff(replay_lsn, '0/0')::text, 'lag', pg_catalog.date_part('epoch', replay_lag) * 1000)
    order by application_name, pid) from pg_catalog.pg_stat_replication), '[]') as replicas`;

/**
 * Ms of what a caller said.
 * @throws MpmError USAGE for what is no duration
 */
export function maxLagOf(given: Duration | undefined): number | undefined {
  const most = given === undefined ? undefined : parseDuration(given);
  if (given === undefined || most !== undefined) return most;
  throw new MpmError('USAGE', `--max-lag ${given}: not a duration`, { hint: `Use ${DURATION_FORM}.` });
}

/** Keeps a server's tenants from being started while one of its streaming replicas is too far behind (confidence 6). */
export class ReplicaLag {
  readonly #servers: ServerLag[];

  /**
   * @param most ms, for all servers; by default what each says in the configuration. 0: no limit
   * @param notice told when a server is waited for, when it goes on, and what cannot be known
   */
  constructor(
    config: Config,
    servers: readonly string[],
    most: number | undefined,
    notice: (message: string) => void,
  ) {
    this.#servers = servers.flatMap((name) => {
      const limit = most ?? config.servers[name]?.maxLag ?? 0;
      return limit > 0 && config.servers[name] ? [new ServerLag(config, name, limit, notice)] : [];
    });
  }

  /** Looks at each server once, and from then on again and again. */
  async begin(): Promise<void> {
    await Promise.all(this.#servers.map((server) => server.begin()));
  }

  /** Whether a server's tenants wait. */
  holds(name: string): boolean {
    return this.#servers.some((server) => server.name === name && server.isBehind);
  }

  async end(): Promise<void> {
    await Promise.all(this.#servers.map((server) => server.end()));
  }
}

class ServerLag {
  readonly name: string;
  isBehind = false;
  readonly #config: Config;
  readonly #limit: number;
  readonly #notice: (message: string) => void;
  #connection: Connection | undefined;
  #timer: NodeJS.Timeout | undefined;
  #looking: Promise<void> = Promise.resolve();
  /** Where the server's WAL was, and when: a replica that replays nothing has no lag in the server's own eyes. */
  #positions: { at: number; written: bigint }[] = [];
  #since = 0;
  #blind = false;

  constructor(config: Config, name: string, limit: number, notice: (message: string) => void) {
    this.#config = config;
    this.name = name;
    this.#limit = limit;
    this.#notice = notice;
  }

  async begin(): Promise<void> {
    await this.#look();
    // After the end of a look, so that a slow server is not asked twice at once.
    const again = (): void => {
      this.#timer = setTimeout(() => {
        this.#looking = this.#look().finally(() => this.#timer && again());
      }, EVERY);
    };
    again();
  }

  async end(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    await this.#looking;
    await this.#connection?.close();
  }

  async #look(): Promise<void> {
    try {
      if (this.#connection?.lost) this.#connection = undefined;
      this.#connection ??= await connect({
        url: directUrlOf(this.#config, this.name),
        applicationName: 'mpm-migrate/replicas',
        connectTimeout: this.#config.pace.connectTimeout,
      });
      const [row] = await this.#connection.query<{ written: string; replicas: Replica[] }>(SELECT_REPLICAS);
      if (row) this.#take(BigInt(row.written), row.replicas);
    } catch (error) {
      this.#unknown(errorReport(error).message);
    }
  }

  #take(written: bigint, replicas: readonly Replica[]): void {
    const at = Date.now();
    this.#positions.push({ at, written });
    const hidden = replicas.filter(({ state }) => state === null);
    if (hidden.length) this.#unknown('the role may not read pg_stat_replication: grant pg_monitor to it');
    const streaming = replicas.flatMap(({ replayed, lag, ...replica }) =>
      replayed === null ? [] : [{ ...replica, lag: Math.max(lag ?? 0, this.#behind(BigInt(replayed), at)) }],
    );
    const oldest = replicas.map(({ replayed }) => BigInt(replayed ?? written));
    const keepFrom = this.#positions.findIndex((position) => oldest.some((seen) => seen < position.written));
    this.#positions = this.#positions.slice(keepFrom < 0 ? -1 : keepFrom).slice(-MOST_POSITIONS);
    const [worst] = streaming.toSorted((a, b) => b.lag - a.lag);
    const isBehind = worst !== undefined && worst.lag > this.#limit;
    if (isBehind === this.isBehind) return;
    this.isBehind = isBehind;
    if (isBehind) {
      this.#since = at;
      this.#notice(
        `Server ${this.name}: replica ${nameOf(worst)} is ${seconds(worst.lag)} behind: no further tenant starts until it is within ${seconds(this.#limit)}`,
      );
    } else {
      this.#notice(
        `Server ${this.name}: its replicas are within ${seconds(this.#limit)} again, after ${seconds(at - this.#since)}`,
      );
    }
  }

  /** Ms since the oldest position that a replica has not replayed. */
  #behind(replayed: bigint, now: number): number {
    const first = this.#positions.find(({ written }) => written > replayed);
    return first ? now - first.at : 0;
  }

  /** What is not known holds nobody; it is said once. */
  #unknown(why: string): void {
    this.isBehind = false;
    if (!this.#blind) this.#notice(`Server ${this.name}: the lag of its replicas is not known: ${why}`);
    this.#blind = true;
  }
}

function nameOf({ name, address }: Pick<Replica, 'name' | 'address'>): string {
  return oneLine([name, address && `(${address})`].filter(Boolean).join(' ') || 'without a name');
}

function seconds(ms: number): string {
  return ms < 10_000 ? `${(ms / 1000).toFixed(1)} s` : `${Math.round(ms / 1000)} s`;
}
