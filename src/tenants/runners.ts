import { tenantProblem } from '../central/list/problem.ts';
import type { Tenant } from '../central/list/tenant.ts';
import type { Config } from '../config/define.ts';
import { MpmError } from '../errors.ts';
import { tryLock } from '../engine/history/lock-sql.ts';
import { describeHolder, holderOfLock, pause } from '../engine/apply/lock.ts';
import { connect } from '../postgres/connect.ts';
import type { Connection } from '../postgres/connection.ts';
import { oneLine } from '../text.ts';
import { describeSession, firstOf } from './in-use.ts';
import { directUrlOf } from './server.ts';

/**
 * Waits until no runner is at work in a tenant's database, and the transactions of others that are open there by now
 * have ended, for at most `pace.lockWait`. Whoever begins later takes the lock after this one has had it, and so reads
 * the tenant's row as it is by now, as sessions do; what began earlier may commit when a copy is long made (fleet 41).
 * @throws MpmError BUSY naming who is at work; CONNECTION, PASSWORD when that cannot be known; INTERRUPTED
 */
export async function waitForRunners(
  config: Config,
  tenant: Tenant,
  signal: AbortSignal | undefined,
): Promise<void> {
  // Of a row that leads nowhere no database is written to.
  if (tenantProblem(tenant, config)) return;
  const { id, database, server } = tenant;
  const target = {
    url: directUrlOf(config, server),
    database,
    applicationName: `mpm-migrate/hold/${id}`,
    connectTimeout: config.pace.connectTimeout,
  };
  const connection = await connect(target).catch((error: unknown) => {
    if (error instanceof MpmError && error.code === 'DATABASE_MISSING') return undefined;
    throw error;
  });
  try {
    if (connection) await takeOnce(connection, config, signal);
  } finally {
    await connection?.close();
  }
}

async function takeOnce(
  connection: Connection,
  { history, pace }: Config,
  signal: AbortSignal | undefined,
): Promise<void> {
  const deadline = performance.now() + pace.lockWait;
  const before = new Set((await readOpen(connection)).map(({ id }) => id));
  let open: Open[] = [];
  for (let idle = false, look = 0; ; look += 1) {
    idle ||= await isIdle(connection, history);
    open = (await readOpen(connection)).filter(({ id }) => before.has(id));
    if (idle && open.length === 0) return;
    if (signal?.aborted || performance.now() >= deadline) {
      throw idle ? stillOpen(open, signal) : await atWork(connection, history, signal);
    }
    await pause(look);
  }
}

/** A transaction of another session, or one that was prepared and belongs to none. */
interface Open {
  /** No other transaction of the server ever has it. */
  id: string;
  /** Null of a prepared one. */
  pid: number | null;
  /** Of a prepared one, the name that it was given. */
  application: string;
  user: string;
}

/** Those in this database; not the server's own, as autovacuum's, which have no user. */
async function readOpen(connection: Connection): Promise<Open[]> {
  return connection.query<Open>(
    `select l.virtualxid as id, a.pid, a.application_name as application, coalesce(a.usename::text, '') as "user"
from pg_catalog.pg_stat_activity a
join pg_catalog.pg_locks l on l.pid = a.pid and l.locktype = 'virtualxid' and l.granted and l.mode = 'ExclusiveLock'
where a.datname = pg_catalog.current_database() and a.usesysid is not null and a.pid <> pg_catalog.pg_backend_pid()
union all
select 'prepared ' || transaction::text, null, gid, owner::text from pg_catalog.pg_prepared_xacts
where database = pg_catalog.current_database()
order by pid, id`,
  );
}

function stillOpen(open: readonly Open[], signal: AbortSignal | undefined): MpmError {
  const named = open.map(({ pid, application, user }) =>
    pid === null
      ? `prepared transaction "${oneLine(application)}" of ${user}`
      : describeSession({ pid, application, user }),
  );
  const code = signal?.aborted ? 'INTERRUPTED' : 'BUSY';
  return new MpmError(
    code,
    `transactions that began before are still open in its database: ${firstOf(named)}`,
  );
}

/**
 * Whether the lock can be had, and nobody is between two transactions of one message, which only wants it again. Two
 * looks while the lock is held: who wants it in between does not get it, and stops.
 */
async function isIdle(connection: Connection, history: Config['history']): Promise<boolean> {
  const [lock] = await connection.query<{ had: boolean }>(
    `begin;\nset local idle_in_transaction_session_timeout = 0;\nselect ${tryLock(history)} as had`,
  );
  let idle = lock?.had ?? false;
  for (let looks = 2; idle && looks > 0; looks -= 1) {
    const [others] = await connection.query<{ busy: boolean }>(IN_TRANSACTION);
    idle = !others?.busy;
    if (idle && looks > 1) await pause(0);
  }
  await connection.query('rollback');
  return idle;
}

/** A run of the ledger with a transaction open here. What the state of others is, not everybody may see; locks are seen. */
const IN_TRANSACTION = `select exists (select from pg_catalog.pg_stat_activity a
  join pg_catalog.pg_locks l on l.pid = a.pid and l.locktype = 'virtualxid' and l.granted
  where a.datname = pg_catalog.current_database() and a.pid <> pg_catalog.pg_backend_pid()
    and a.application_name ~ '^mpm-migrate/[0-9]+/') as busy`;

async function atWork(
  connection: Connection,
  history: Config['history'],
  signal: AbortSignal | undefined,
): Promise<MpmError> {
  const holder = await holderOfLock(connection, history);
  const who = holder ? `: ${describeHolder(holder)}` : '';
  const code = signal?.aborted ? 'INTERRUPTED' : 'BUSY';
  return new MpmError(code, `another runner is at work in its database${who}`);
}
