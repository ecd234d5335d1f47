import { setTimeout as sleep } from 'node:timers/promises';
import { connect, type DatabaseTarget } from '../postgres/connect.ts';
import type { Connection } from '../postgres/connection.ts';

const ROUNDS = 5;

/** ms. In a pool that is used up nobody is answered; then nothing is known. */
const PATIENCE = 2_000;

/**
 * Whether a pooler gives the server's sessions to whoever comes next, transaction by transaction. Two connections
 * are watched: in a session pooler each keeps its own server process, in a transaction pooler one of them meets the
 * other's, or another one than before.
 * @param target a database behind a pooler
 * @returns undefined when that cannot be found out now
 * @throws MpmError of the connection
 */
export async function isTransactionPooler(target: DatabaseTarget): Promise<boolean | undefined> {
  const one = await connect(target);
  try {
    const first = await pidOf(one);
    return first === undefined ? undefined : await meetsOthers(one, first, target);
  } finally {
    one.cut();
  }
}

async function meetsOthers(one: Connection, first: number, target: DatabaseTarget): Promise<boolean> {
  const other = await connect(target);
  try {
    for (let round = 0; round < ROUNDS; round += 1) {
      const theirs = await pidOf(other);
      // Who keeps its process leaves none for the other.
      if (theirs === undefined) return false;
      // Twice, because a pooler may take the servers in turn.
      if ([theirs === first, (await pidOf(one)) !== first, (await pidOf(one)) !== first].includes(true))
        return true;
    }
    return false;
  } finally {
    other.cut();
  }
}

/** Undefined when nobody answers in time. */
async function pidOf(connection: Connection): Promise<number | undefined> {
  const late = new AbortController();
  const asked = connection
    .query<{ pid: number }>('select pg_catalog.pg_backend_pid() as pid')
    .then(([row]) => row?.pid);
  // It may fail when nobody waits for it any more.
  asked.catch(() => undefined);
  try {
    return await Promise.race([asked, sleep(PATIENCE, undefined, { signal: late.signal })]);
  } finally {
    late.abort();
  }
}
