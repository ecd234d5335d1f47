import { statfsSync } from 'node:fs';
import pg from 'pg';
import {
  type EmbeddedOptions,
  type EmbeddedServer,
  startEmbedded,
} from '../../src/postgres/embedded/embedded.ts';

const MEMORY = '/dev/shm';
const ROOM = 4 * 2 ** 30;

/** Where a server's folder is in memory, if there is room: on a disk, making a database takes ten times as long. */
export function memoryFolder(): string | undefined {
  try {
    const { bavail, bsize } = statfsSync(MEMORY);
    return bavail * bsize >= ROOM ? MEMORY : undefined;
  } catch {
    return undefined;
  }
}

/** A server for tests: {@link startEmbedded}, in memory where that can be, of the programs in MPM_TEST_SERVER_BIN if set. */
export async function startServer(options: EmbeddedOptions = {}): Promise<EmbeddedServer> {
  const dir = memoryFolder();
  const bin = process.env['MPM_TEST_SERVER_BIN'];
  return startEmbedded({ ...(dir ? { dir } : {}), ...(bin ? { bin } : {}), ...options });
}

/**
 * Makes logins cheap, that of the superuser in this URL and of roles made later: by default, a client hashes its password
 * 4,096 times for each connection. PostgreSQL 15 knows no other number.
 */
export async function cheapLogins(url: string): Promise<void> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    const { rows } = await client.query<{ can: boolean }>(
      "select current_setting('server_version_num')::int >= 160000 as can",
    );
    if (!rows[0]?.can) return;
    await client.query('alter system set scram_iterations = 1');
    await client.query('select pg_reload_conf()');
    await client.query('set scram_iterations = 1');
    await client.query(
      `alter role current_user password ${pg.escapeLiteral(decodeURIComponent(new URL(url).password))}`,
    );
  } finally {
    await client.end();
  }
}
