import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { connectCentral } from '../central/central.ts';
import type { Config } from '../config/define.ts';
import { MpmError } from '../errors.ts';
import { describeHolder, holderOfKeys } from '../engine/apply/lock.ts';
import type { Connection } from '../postgres/connection.ts';
import { idWord } from '../shell-word.ts';

/**
 * Runs `use` while nobody else creates, resumes or changes this tenant. The lock lives in an open transaction on
 * a connection of its own: so it works through a transaction pooler, and ends with a killed process.
 * @param connection to the central database, with nothing else to do; by default a new one
 * @throws MpmError BUSY, at once
 */
export async function withTenantLock<T>(
  config: Config,
  id: string,
  use: () => Promise<T>,
  connection?: Connection,
): Promise<T> {
  if (connection) return locked(connection, id, use);
  const own = await connectLock(config, id);
  try {
    return await locked(own, id, use);
  } finally {
    await own.close();
  }
}

export function connectLock(config: Config, what: string): Promise<Connection> {
  return connectCentral(config, `tenant-lock/${what}`);
}

/**
 * Runs `use` while nobody else works on what all tenants of a server share: its template, its pool.
 * @param wait ms
 * @throws MpmError BUSY when another has it for longer than that
 */
export async function withServerLock<T>(
  config: Config,
  { what, server, wait }: { what: 'template' | 'pool'; server: string; wait: number },
  use: () => Promise<T>,
): Promise<T> {
  const key = `${what} of ${server}`;
  const connection = await connectLock(config, what);
  try {
    for (const until = Date.now() + wait; !(await tryLock(connection, key));) {
      if (Date.now() >= until) {
        throw new MpmError(
          'BUSY',
          `the ${key} is being created by another process${await heldBy(connection, key)}`,
          {
            subject: server,
            hint: 'Try again when that process has ended.',
          },
        );
      }
      await sleep(50 + Math.random() * 100);
    }
    return await use();
  } finally {
    await connection.close();
  }
}

async function locked<T>(connection: Connection, id: string, use: () => Promise<T>): Promise<T> {
  try {
    if (await tryLock(connection, id)) return await use();
    throw new MpmError(
      'BUSY',
      `tenant ${id} is being worked on by another process${await heldBy(connection, id)}`,
      {
        subject: id,
        hint: `When that one has ended, see where it stands: mpm-migrate tenant show ${idWord(id)}`,
      },
    );
  } finally {
    if (!connection.lost) await connection.query('rollback').catch(() => undefined);
  }
}

/** True: held until the connection's transaction ends. */
async function tryLock(connection: Connection, key: string): Promise<boolean> {
  // Literals, because a bind parameter leaves a portal open, and with it a snapshot.
  const [row] = await connection.query<{ had: boolean }>(
    `begin;\nset local idle_in_transaction_session_timeout = 0;\nselect pg_try_advisory_xact_lock(${keysOf(key).join(', ')}) as had`,
  );
  if (row?.had) return true;
  await connection.query('rollback');
  return false;
}

function keysOf(key: string): [number, number] {
  return [0x6d_70_6e, createHash('sha256').update(key).digest().readInt32BE(0)];
}

async function heldBy(connection: Connection, key: string): Promise<string> {
  const holder = await holderOfKeys(connection, keysOf(key));
  return holder ? `: ${describeHolder(holder)}` : '';
}
