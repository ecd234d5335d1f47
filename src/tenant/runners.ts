import { tenantProblem } from '../central/problem.ts';
import type { Tenant } from '../central/tenant.ts';
import type { Config } from '../config/define.ts';
import { MpmError } from '../errors.ts';
import { tryLock } from '../migration/history.ts';
import { describeHolder, holderOfLock, pause } from '../migration/lock.ts';
import { connect } from '../postgres/connect.ts';
import type { Connection } from '../postgres/connection.ts';
import { directUrlOf } from './server.ts';

/**
 * Waits until no runner is at work in a tenant's database, for at most `pace.lockWait`. Whoever begins later takes the
 * lock after this one has had it, and so reads the tenant's row as it is by now.
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
  for (let look = 0; ; look += 1) {
    if (await isIdle(connection, history)) return;
    if (signal?.aborted || performance.now() >= deadline) throw await atWork(connection, history, signal);
    await pause(look);
  }
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
