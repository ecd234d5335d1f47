import { setTimeout as sleep } from 'node:timers/promises';
import { MpmError } from '../errors.ts';
import type { Connection } from './connection.ts';
import { identifier } from './quote.ts';

/** ms; what drops the files of a large database takes its time. */
const PATIENCE = 30_000;

interface ActiveStatement {
  pid: number;
  query: string;
}

/**
 * Waits until no other session creates or drops a database of these names: what a process that was killed had sent goes
 * on in the server, and would make or remove the database after everybody has looked (fleet 50). A CREATE DATABASE is
 * ended, which leaves nothing of it; a DROP DATABASE is waited for, because a database that it has begun to drop can
 * only be dropped.
 * @throws MpmError BUSY when one is still at work after 30 s
 */
export async function waitForDatabases(connection: Connection, names: readonly string[]): Promise<void> {
  const creates = names.map((name) => `create database ${identifier(name)}`);
  const drops = names.map((name) => `drop database if exists ${identifier(name)}`);
  for (const until = performance.now() + PATIENCE; ; await sleep(20)) {
    const active = await connection.query<ActiveStatement>(
      `select pid, query from pg_catalog.pg_stat_activity where pid <> pg_catalog.pg_backend_pid() and state = 'active'
  and (pg_catalog.starts_with(query, 'create database ') or pg_catalog.starts_with(query, 'drop database '))`,
    );
    const isAt = (statements: readonly string[]) => (each: ActiveStatement) =>
      statements.some((statement) => each.query === statement || each.query.startsWith(`${statement} `));
    const creating = active.filter(isAt(creates));
    const [first] = [...creating, ...active.filter(isAt(drops))];
    if (!first) return;
    if (performance.now() > until) throw stillAtWork(first);
    // Another role's may be beyond our rights: then it is waited for.
    for (const { pid } of creating) {
      await connection.query(`select pg_catalog.pg_terminate_backend(${pid})`).catch((error: unknown) => {
        if (connection.lost) throw error;
      });
    }
  }
}

function stillAtWork({ pid, query }: ActiveStatement): MpmError {
  const statement = query.slice(0, 100);
  return new MpmError('BUSY', `another session on the server is still running: ${statement} (pid ${pid})`, {
    hint: `Wait until it ends, and then try again. To end it: select pg_terminate_backend(${pid});`,
  });
}
