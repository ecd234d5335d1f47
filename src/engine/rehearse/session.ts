import { type DatabaseTarget, describeUrl } from '../../postgres/connect.ts';
import type { Connection } from '../../postgres/connection.ts';
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

/** By server, whether it can tell that a client is gone. */
const watching = new Map<string, boolean>();

/** Whether the server can tell that a client is gone while it works for it: Linux servers surely can. Asked once a server. */
export async function canWatch({ url }: DatabaseTarget, connection: Connection): Promise<boolean> {
  const { host, port } = describeUrl(url);
  const server = `${host}:${port}`;
  const known = watching.get(server);
  if (known !== undefined) return known;
  const { rows } = await connection.raw("select version() like '%linux%' as linux");
  const can = rows[0]?.['linux'] === true;
  watching.set(server, can);
  return can;
}

/**
 * Ends what runs when this process is gone, `kill -9` included: without it a statement goes on to its end, and keeps
 * its locks.
 */
export const WATCH_CLIENT = 'set local client_connection_check_interval = 500';
