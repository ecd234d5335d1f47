import { setTimeout as sleep } from 'node:timers/promises';
import { MpmError } from '../../errors.ts';
import { redact } from '../../secrets.ts';
import { bounded } from '../../text.ts';
import type { Connection } from '../../postgres/connection.ts';
import { literal } from '../../postgres/quote.ts';
import { AT_WORK, type HistoryTable, JOIN_PROGRESS, tableName } from '../history/history.ts';
import { lockKeys, tryLock } from '../history/lock-sql.ts';

/** Who is in the way: one backend, as pg_stat_activity shows it. */
export interface Holder {
  pid: number;
  application: string;
  user: string;
  state: string;
  since: string;
  query: string;
}

/** What our messages begin with says nothing of what they do. */
const PREAMBLE = literal(String.raw`^(\s*(begin|set local|savepoint)\M[^;]*;)+`);

const ACTIVITY = `a.pid, coalesce(nullif(a.application_name, ''), '(no name)') as application, coalesce(a.usename, '') as "user",
  coalesce(a.state, '') as state, to_char(coalesce(a.xact_start, a.query_start) at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"') as since,
  left(btrim(regexp_replace(regexp_replace(a.query, ${PREAMBLE}, ''), '\\s+', ' ', 'g')), 200) as query`;

/** The backend that holds the history's lock. */
export function holderOfLock(connection: Connection, history: HistoryTable): Promise<Holder | undefined> {
  return holderOfKeys(connection, lockKeys(history));
}

/** The backend that holds the advisory lock with these keys in the connected database. */
export async function holderOfKeys(
  connection: Connection,
  keys: readonly [number, number],
): Promise<Holder | undefined> {
  // pg_locks shows the two int4 keys as unsigned oids.
  const [classid, objid] = keys.map((key) => key >>> 0);
  const [holder] =
    await connection.query<Holder>(`select ${ACTIVITY} from pg_catalog.pg_locks l join pg_catalog.pg_stat_activity a on a.pid = l.pid
where l.locktype = 'advisory' and l.granted and l.classid = ${classid} and l.objid = ${objid} and l.objsubid = 2
  and l.database = (select oid from pg_catalog.pg_database where datname = pg_catalog.current_database()) limit 1`);
  return holder;
}

/** The backends that keep `pid` waiting, the longest at it first. */
export async function holdersBlocking(connection: Connection, pid: number): Promise<Holder[]> {
  return connection.query<Holder>(`select ${ACTIVITY} from pg_catalog.pg_stat_activity a
where a.pid = any (pg_catalog.pg_blocking_pids(${pid})) order by a.xact_start limit 5`);
}

export function describeHolder(holder: Holder): string {
  return `held by pid ${holder.pid}, "${holder.application}" as ${holder.user}, ${holder.state || 'active'} since ${holder.since}: ${redact(bounded(holder.query))}`;
}

/** Waits between two looks at a lock: short at first, a second at most, never in step with other waiters. */
export async function pause(look: number): Promise<void> {
  await sleep((0.5 + Math.random()) * Math.min(700, 25 * 1.5 ** look));
}

/** How long to wait for another runner, and who is told. */
export interface Wait {
  /** ms */
  lockWait: number;
  /** Aborted: wait no longer. */
  signal?: AbortSignal | undefined;
  onWaiting?: ((reason: string) => void) | undefined;
}

/**
 * Waits until nobody holds the history's lock, without blocking on it. Throws BUSY, naming the holder, when
 * that takes longer than `lockWait` ms; INTERRUPTED when it is told to stop.
 */
export async function waitForLock(connection: Connection, history: HistoryTable, wait: Wait): Promise<void> {
  await waitUntil(wait, {
    async isFree() {
      const [free] = await connection.query<{ free: boolean }>(`select ${tryLock(history)} as free`);
      return free?.free ?? false;
    },
    holder: () => holderOfLock(connection, history),
    busy: (holder) => ({
      message: `another runner is working on this database${holder ? `: ${describeHolder(holder)}` : ''}`,
      hint: 'Try again later, or wait longer with --lock-wait.',
    }),
  });
}

/**
 * Waits until no backend is at work that an earlier attempt at a migration outside a transaction has left: the server
 * runs its statement to the end also when its client is gone (engine 40). Throws as {@link waitForLock}.
 */
export async function waitForAttempt(
  connection: Connection,
  history: HistoryTable,
  wait: Wait,
): Promise<void> {
  let left: (Holder & { migration: string }) | undefined;
  await waitUntil(wait, {
    async isFree() {
      [left] = await connection.query<Holder & { migration: string }>(selectAttempts(history));
      return left === undefined;
    },
    holder: async () => left,
    busy: () => ({
      message: `an earlier attempt at ${left?.migration} is still running on the server: ${left ? describeHolder(left) : ''}`,
      hint: `Wait until it is done, or end it: select pg_terminate_backend(${left?.pid}); or wait longer with --lock-wait.`,
    }),
  });
}

/** The backends that earlier attempts have left at work. */
export function selectAttempts(history: HistoryTable): string {
  return `select h.name as migration, ${ACTIVITY} from ${tableName(history)} h ${JOIN_PROGRESS}
  join pg_catalog.pg_stat_activity a on a.pid = ${AT_WORK} where a.pid <> pg_catalog.pg_backend_pid() limit 1`;
}

/** Something that is in use, and by whom. */
interface InUse {
  isFree(): Promise<boolean>;
  holder(): Promise<Holder | undefined>;
  busy(holder: Holder | undefined): { message: string; hint: string };
}

async function waitUntil({ lockWait, signal, onWaiting }: Wait, what: InUse): Promise<void> {
  const deadline = performance.now() + lockWait;
  for (let look = 0; ; look += 1) {
    if (await what.isFree()) return;
    if (signal?.aborted) {
      throw new MpmError('INTERRUPTED', 'interrupted while another runner was working here', {
        aftermath: 'nothing was changed here',
        hint: 'Run the same command again to continue from here.',
      });
    }
    const holder = look % 5 === 0 ? await what.holder() : undefined;
    if (holder) onWaiting?.(describeHolder(holder));
    if (performance.now() >= deadline) {
      const { message, hint } = what.busy(holder ?? (await what.holder()));
      throw new MpmError('BUSY', message, { aftermath: 'nothing was changed here', hint });
    }
    await pause(look);
  }
}
