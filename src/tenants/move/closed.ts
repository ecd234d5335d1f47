import type { Tenant } from '../../central/list/tenant.ts';
import type { Config } from '../../config/define.ts';
import { asMpmError, MpmError } from '../../errors.ts';
import type { Connection } from '../../postgres/connection.ts';
import { connect, lossOf } from '../../postgres/connect.ts';
import { identifier, literal } from '../../postgres/quote.ts';
import { databaseFields, isServerError } from '../../postgres/sqlstate.ts';
import { endSessions, refuseSessions } from '../in-use.ts';
import { directUrlOf, withServer } from '../server.ts';

/** A database to which nobody connects any more. */
export interface Closed {
  /** The one connection to it. */
  old: Connection;
  /** @throws MpmError DATABASE_IN_USE */
  requireAlone(): Promise<void>;
  /** It stays closed also when what follows fails. */
  keepClosed(): void;
}

/**
 * Runs `use` while nobody but us is connected to a tenant's database, or can be. When `use` throws, it is opened again,
 * unless that was ruled out; otherwise it stays closed.
 * @throws MpmError DATABASE_IN_USE naming who is there, or a prepared transaction; WRONG_DATABASE when it cannot be
 *   closed; and what `use` throws
 */
export async function whileClosed(
  config: Config,
  { id, name, server, database }: Tenant,
  { disconnect = false }: { disconnect?: boolean },
  use: (closed: Closed) => Promise<void>,
): Promise<void> {
  await withServer(config, server, async (connection) => {
    const alter = `alter database ${identifier(database)} with allow_connections`;
    const set = (open: boolean) =>
      connection.query(`${alter} ${open}`).catch((error: unknown) => {
        if (!isServerError(error)) throw error;
        throw new MpmError('WRONG_DATABASE', `database "${database}" cannot be closed: ${error.message}`, {
          subject: name,
          cause: error,
          database: databaseFields(error),
          aftermath: 'nothing was changed',
          hint: `The connecting user must own it: alter database ${identifier(database)} owner to …`,
        });
      });
    if (!disconnect) await refuseSessions(connection, database);
    await refusePrepared(connection, database);
    // One that was killed may have left it closed.
    await set(true);
    const old = await connect({
      url: directUrlOf(config, server),
      database,
      applicationName: `mpm-migrate/move/${id}`,
      connectTimeout: config.pace.connectTimeout,
    });
    try {
      old.describeLoss = lossOf(`database "${database}"`);
      const [self] = await old.query<{ pid: number }>('select pg_catalog.pg_backend_pid() as pid');
      const requireAlone = async (): Promise<void> => {
        await refuseSessions(connection, database, self?.pid);
        await refusePrepared(connection, database);
      };
      let keeps = false;
      await set(false);
      try {
        if (disconnect) await endSessions(connection, database, self?.pid);
        await requireAlone();
        await use({ old, requireAlone, keepClosed: () => (keeps = true) });
      } catch (error) {
        if (keeps) throw error;
        throw await reopened(error, () => set(true), `${alter} true`);
      }
    } finally {
      await old.close();
    }
  });
}

async function reopened(error: unknown, open: () => Promise<unknown>, sql: string): Promise<unknown> {
  try {
    await open();
    return error;
  } catch {
    const { code, message, subject = '' } = asMpmError(error);
    return new MpmError(code, message, {
      subject,
      cause: error,
      aftermath: 'the old database is still closed',
      hint: `Open it again: ${sql};`,
    });
  }
}

/** What was prepared can still be committed, by anybody, when the copy was long made. */
async function refusePrepared(connection: Connection, database: string): Promise<void> {
  const [first] = await connection.query<{ gid: string }>(
    `select gid from pg_catalog.pg_prepared_xacts where database = ${literal(database)} limit 1`,
  );
  if (!first) return;
  throw new MpmError('DATABASE_IN_USE', `"${database}" has a prepared transaction: ${first.gid}`, {
    subject: database,
    aftermath: 'nothing was changed',
    hint: `In that database: commit prepared ${literal(first.gid)}; or rollback prepared ${literal(first.gid)}; then copy it again.`,
  });
}
