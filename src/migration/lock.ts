import { setTimeout as sleep } from 'node:timers/promises';
import { MpmError } from '../errors.ts';
import type { Connection } from '../postgres/connection.ts';
import { type HistoryTable, lockKeys, tryLock } from './history.ts';

/** Who is in the way: one backend, as pg_stat_activity shows it. */
export interface Holder {
  pid: number;
  application: string;
  user: string;
  state: string;
  since: string;
  query: string;
}

const ACTIVITY = `a.pid, coalesce(nullif(a.application_name, ''), '(no name)') as application, coalesce(a.usename, '') as "user",
  coalesce(a.state, '') as state, to_char(coalesce(a.xact_start, a.query_start) at time zone 'UTC', 'YYYY-MM-DD HH24:MI:SS "UTC"') as since,
  left(regexp_replace(a.query, '\\s+', ' ', 'g'), 200) as query`;

/** The backend that holds the history's lock. */
export async function holderOfLock(
  connection: Connection,
  history: HistoryTable,
): Promise<Holder | undefined> {
  // pg_locks shows the two int4 keys as unsigned oids.
  const [classid, objid] = lockKeys(history).map((key) => key >>> 0);
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
  return `held by pid ${holder.pid}, "${holder.application}" as ${holder.user}, ${holder.state || 'active'} since ${holder.since}: ${holder.query}`;
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
export async function waitForLock(
  connection: Connection,
  history: HistoryTable,
  { lockWait, signal, onWaiting }: Wait,
): Promise<void> {
  const deadline = performance.now() + lockWait;
  for (let look = 0; ; look += 1) {
    const [free] = await connection.query<{ free: boolean }>(`select ${tryLock(history)} as free`);
    if (free?.free) return;
    if (signal?.aborted) {
      throw new MpmError('INTERRUPTED', 'interrupted while another runner was at work here', {
        aftermath: 'nothing was changed here',
        hint: 'Run the same command again: it goes on from here.',
      });
    }
    const holder = look % 5 === 0 ? await holderOfLock(connection, history) : undefined;
    if (holder) onWaiting?.(describeHolder(holder));
    if (performance.now() >= deadline) {
      const last = holder ?? (await holderOfLock(connection, history));
      throw new MpmError(
        'BUSY',
        `another runner is at work on this database${last ? `: ${describeHolder(last)}` : ''}`,
        {
          aftermath: 'nothing was changed here',
          hint: 'Try again later, or wait longer with --lock-wait.',
        },
      );
    }
    await pause(look);
  }
}
