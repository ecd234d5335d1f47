import { MpmError } from '../../errors.ts';
import { describeHolder, holderOfKeys } from '../../engine/apply/lock.ts';
import type { Result } from '../../postgres/message.ts';
import { SQLSTATE, sqlstateOf } from '../../postgres/sqlstate.ts';
import type { Listing } from './listing.ts';

/** The keys of the lock under which names and databases are chosen. */
const KEYS: [number, number] = [0x6d_70_6d, 1];

/** ms after which somebody is told who is waited for, each time. */
const LOOK = 1000;

/**
 * Registrations come one after the other: a name and a database are chosen and entered in between. Begins a
 * transaction, takes their lock and runs the statements, in one message; the last statement may be its end.
 * @param onWaiting hears who has the lock, once each
 * @returns what the statements returned
 * @throws MpmError BUSY, naming the holder, after `pace.lockWait`; an error of the statements, the transaction still open
 */
export async function oneAtATime(
  { connection, config }: Listing,
  statements: readonly string[],
  onWaiting?: (reason: string) => void,
): Promise<Result[]> {
  let told: number | undefined;
  const until = performance.now() + config.pace.lockWait;
  for (;;) {
    // 0 would wait for ever.
    const patience = Math.max(1, Math.min(LOOK, Math.ceil(until - performance.now())));
    const opening = [
      'begin',
      `set local lock_timeout = ${patience}`,
      `select pg_catalog.pg_advisory_xact_lock(${KEYS.join(', ')})`,
    ];
    try {
      const { results } = await connection.application.send([...opening, ...statements].join(';\n'));
      return results.slice(results.length - statements.length);
    } catch (error) {
      if (connection.lost || sqlstateOf(error) !== SQLSTATE.lockNotAvailable) throw error;
      await connection.query('rollback');
      const holder = await holderOfKeys(connection, KEYS);
      if (holder && holder.pid !== told) onWaiting?.(describeHolder(holder));
      told = holder?.pid;
      if (performance.now() < until) continue;
      const by = holder ? `: ${describeHolder(holder)}` : '';
      throw new MpmError(
        'BUSY',
        `another process holds a lock on the list of tenants in "${connection.database}"${by}`,
        {
          subject: connection.database,
          cause: error,
          aftermath: 'nothing was changed',
          hint: holder
            ? `Wait until it is done, or end it: select pg_terminate_backend(${holder.pid});`
            : 'Try again in a moment.',
        },
      );
    }
  }
}
