import { MpmError } from '../errors.ts';
import type { DatabaseTarget } from './connect.ts';
import type { PoolStats } from './pool-choice.ts';

export function poolClosed(): MpmError {
  return new MpmError('FLEET_CLOSED', 'the fleet is closed', { hint: 'Open another one: openFleet(…)' });
}

export function interrupted(signal: AbortSignal): MpmError {
  return new MpmError('INTERRUPTED', 'the caller no longer waits for a connection', { cause: signal.reason });
}

export function waitedTooLong(target: DatabaseTarget, waitTimeout: number, stats: PoolStats): MpmError {
  const { inUse, connections, waiting } = stats;
  const database = target.database ?? '';
  return new MpmError(
    'SESSION_TIMEOUT',
    `no connection to "${database}" came free within ${waitTimeout} ms: ${inUse} of ${connections} are in use, ${waiting} callers wait`,
    {
      subject: database,
      hint: 'Keep transactions short and give each connection back; or raise sessions.connections, sessions.perTenant or the server’s maxConnections.',
    },
  );
}
