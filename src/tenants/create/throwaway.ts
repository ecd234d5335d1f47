import { createHash, randomBytes } from 'node:crypto';
import { rightsOf } from '../../central/make.ts';
import type { Config } from '../../config/define.ts';
import type { Connection } from '../../postgres/connection.ts';
import { createDatabase, dropDatabase } from '../../postgres/database.ts';
import { literal } from '../../postgres/quote.ts';
import { withServer } from '../server.ts';
import type { NewDatabase } from './migrate-and-seed.ts';

/**
 * Makes a database on a server for as long as the work takes, and drops it. Whoever works holds a lock under its name,
 * which ends with the process: what a killed one left is dropped before.
 * @param throwaway what names of such databases begin with, and for whom it is
 */
export function inThrowaway<T>(
  config: Config,
  server: string,
  { prefix, purpose }: { prefix: string; purpose: string },
  work: (place: NewDatabase) => Promise<T>,
): Promise<T> {
  return withServer(config, server, async (connection) => {
    await dropLeftOver(connection, prefix);
    const database = `${prefix}${randomBytes(8).toString('hex')}`;
    await connection.query(`select pg_catalog.pg_advisory_lock(${lockKey(database)})`);
    await createDatabase(connection, database, rightsOf(config));
    try {
      return await work({ server, database, purpose });
    } finally {
      if (!connection.lost) await dropDatabase(connection, database, { disconnect: true });
    }
  });
}

async function dropLeftOver(connection: Connection, prefix: string): Promise<void> {
  const rows = await connection.query<{ name: string }>(
    `select datname::text as name from pg_catalog.pg_database where pg_catalog.starts_with(datname::text, ${literal(prefix)})`,
  );
  for (const { name } of rows) {
    const [free] = await connection.query<{ locked: boolean }>(
      `select pg_catalog.pg_try_advisory_lock(${lockKey(name)}) as locked`,
    );
    if (!free?.locked) continue;
    await dropDatabase(connection, name, { disconnect: true });
    await connection.query(`select pg_catalog.pg_advisory_unlock(${lockKey(name)})`);
  }
}

function lockKey(database: string): string {
  return createHash('sha256').update(database).digest().readBigInt64BE(0).toString();
}
