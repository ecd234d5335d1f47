import { SQLSTATE, isServerError } from '../../postgres/sqlstate.ts';

const NEVER = 'mpm-migrate: a rehearsal is never committed';

/**
 * Makes every COMMIT of the transaction fail, whoever sends it: a cursor that is to outlive its transaction is run to its
 * end at COMMIT, and this one can't be.
 */
export const NEVER_COMMIT = `declare mpm_migrate_rehearsal no scroll cursor with hold for select ('${NEVER}' || pg_backend_pid())::int4`;

/** Whether it is {@link NEVER_COMMIT} that failed. */
export function isNeverCommit(error: unknown): boolean {
  return isServerError(error) && error.code === SQLSTATE.invalidText && error.message.includes(NEVER);
}

/**
 * Ends what runs when this process is gone, `kill -9` included: without it a statement goes on to its end, and keeps
 * its locks. Only Linux servers surely can.
 */
export function serverWatchesUs(): string {
  return `select set_config('client_connection_check_interval', '500', true) where version() like '%linux%'`;
}
