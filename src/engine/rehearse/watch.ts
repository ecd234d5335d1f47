import { connect, type DatabaseTarget } from '../../postgres/connect.ts';
import type { Connection } from '../../postgres/connection.ts';
import { type Holder, holdersBlocking } from '../apply/lock.ts';
import { type LockMode, stronger } from '../sql/effects/lock-mode.ts';
import { lockModeFrom } from './observe.ts';

/** What kept others from a table for longer than the limit. */
export interface Held {
  table: string;
  mode: LockMode;
}

export interface RehearsalWatch {
  /** Set once the limit is exceeded: from then on, what runs is cancelled. */
  readonly held: Held | undefined;
  /** Nothing is locked so far: what is found next was taken later. */
  free(): void;
  /** Ends the watch; who was in the way when it last looked. */
  stop(): Promise<Holder[]>;
}

interface Look {
  oid: number;
  table: string;
  mode: string;
}

/** In which others can't change rows, or not even read them. */
const BLOCKING = "('ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock', 'AccessExclusiveLock')";

/** ms: until the first look at the latest, and between two. Most rehearsals are over before the first. */
const FIRST = 500;
const BETWEEN = [20, 100] as const;

/**
 * Watches a rehearsal from another connection, and cancels it when it has kept others from a table for `limit` ms (0:
 * it never does). Counted from the last look at which the table was free, so that nobody waits longer. A rehearsal
 * that is over before the first look costs nothing. A lock that it waits for counts as well, because others wait behind it.
 */
export function watchRehearsal(
  target: DatabaseTarget,
  { pid, limit, lockTimeout }: { pid: number; limit: number; lockTimeout: number },
): RehearsalWatch {
  const begun = performance.now();
  const since = new Map<number, number>();
  let connection: Connection | undefined;
  let holders: Holder[] = [];
  let held: Held | undefined;
  let last = begun;
  let over = false;
  let looking: Promise<void> | undefined;

  const look = async (): Promise<number> => {
    connection ??= await connect({ ...target, applicationName: `${target.applicationName}/watch` });
    const at = performance.now();
    const found = await connection.query<Look>(selectBlocked(pid));
    for (const oid of since.keys()) if (!found.some((each) => each.oid === oid)) since.delete(oid);
    for (const { oid } of found) if (!since.has(oid)) since.set(oid, last);
    last = at;
    const [waiting] = await connection.query<{ ms: number | null; waits: boolean }>(selectWaiting(pid));
    if (waiting?.waits) holders = await holdersBlocking(connection, pid);
    if (limit === 0) return BETWEEN[1];
    const [longest] = found.toSorted((a, b) => (since.get(a.oid) ?? 0) - (since.get(b.oid) ?? 0));
    const from = longest && (since.get(longest.oid) ?? at);
    const now = performance.now();
    // Who waited for somebody else before, waits for the rehearsal since it is there.
    const waited = Math.max(from === undefined ? 0 : now - from, Math.min(waiting?.ms ?? 0, now - begun));
    if (waited < limit)
      return Math.min(Math.max(BETWEEN[0], Math.min(BETWEEN[1], limit / 20)), limit - waited);
    held ??= heldBy(longest, found);
    // Between two statements there is nothing to cancel: again, until it is over.
    await connection.query(`select pg_cancel_backend(${pid})`);
    return BETWEEN[0];
  };
  const heldBy = (longest: Look | undefined, found: readonly Look[]): Held => {
    if (!longest) return { table: 'rows that others wait for', mode: 'ROW EXCLUSIVE' };
    const modes = found.filter(({ oid }) => oid === longest.oid).map(({ mode }) => lockModeFrom(mode));
    return { table: longest.table, mode: modes.reduce(stronger) };
  };
  let timer: NodeJS.Timeout;
  const later = (ms: number): void => {
    timer = setTimeout(() => (looking = lookOn()), ms);
  };
  const lookOn = async (): Promise<void> => {
    // Without a free connection the server's own time-outs are what is left.
    const next = await look().catch(() => FIRST);
    if (!over) later(next);
  };
  later(Math.max(20, Math.min(FIRST, limit ? limit / 4 : FIRST, lockTimeout / 2 - 20)));
  return {
    get held() {
      return held;
    },
    free() {
      last = performance.now();
    },
    async stop() {
      over = true;
      clearTimeout(timer);
      await looking;
      await connection?.close();
      connection = undefined;
      return holders;
    },
  };
}

/** Tables that were there before, which another session sees as they were; behind them their indexes. */
function selectBlocked(pid: number): string {
  return `select l.relation::int8::float8 as oid, l.mode,
  case when n.nspname = 'public' then c.relname else n.nspname || '.' || c.relname end as table
from pg_locks l join pg_class c on c.oid = l.relation join pg_namespace n on n.oid = c.relnamespace
where l.pid = ${pid} and l.locktype = 'relation' and l.mode in ${BLOCKING}
  and l.database = (select d.oid from pg_database d where d.datname = current_database())
  and c.relkind in ('r', 'm', 'p', 'v', 'i', 'S') and n.nspname not in ('pg_catalog', 'pg_toast', 'information_schema')
order by c.relkind = 'i', l.relation`;
}

/** How long others wait for it, for rows too; and whether it waits itself. */
function selectWaiting(pid: number): string {
  return `select max(extract(epoch from clock_timestamp() - w.waitstart) * 1000)
    filter (where ${pid} = any (pg_blocking_pids(w.pid)))::float8 as ms,
  coalesce(bool_or(w.pid = ${pid}), false) as waits
from pg_locks w where not w.granted`;
}
