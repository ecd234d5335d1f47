import pg from 'pg';
import { lockKeys } from '../../src/engine/history/lock-sql.ts';

/** Is at work in a database, as a runner is there, until it is let go: whoever wants to write there waits. */
export async function holdHistoryLock(url: string): Promise<{ letGo(): Promise<void> }> {
  const client = new pg.Client(url);
  await client.connect();
  const keys = lockKeys({ schema: 'mpm_migrate', table: 'history' });
  await client.query(`begin; select pg_advisory_xact_lock(${keys.join(', ')})`);
  return { letGo: () => client.end() };
}
