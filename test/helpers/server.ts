import { readFileSync, statfsSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import {
  type EmbeddedOptions,
  type EmbeddedServer,
  startEmbedded,
} from '../../src/postgres/embedded/embedded.ts';

const MEMORY = '/dev/shm';
const ROOM = 4 * 2 ** 30;

/**
 * Where a server's folder is in memory, if there is room, and programs can be run from there: on a disk, making a database
 * takes ten times as long.
 */
export function memoryFolder(): string | undefined {
  try {
    const { bavail, bsize } = statfsSync(MEMORY);
    const mount = readFileSync('/proc/mounts', 'utf8')
      .split('\n')
      .find((line) => line.split(' ')[1] === MEMORY);
    return bavail * bsize >= ROOM && !mount?.includes('noexec') ? MEMORY : undefined;
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

/** The server that a worker's tests share. */
export async function startSharedServer(): Promise<EmbeddedServer> {
  const server = await startServer({ settings: { max_connections: '200', max_prepared_transactions: '8' } });
  await makeCheap(server);
  return server;
}

/** What thousands of connections and databases would pay for each time. */
async function makeCheap({ dir, url }: EmbeddedServer): Promise<void> {
  const file = join(dir, 'data/pg_hba.conf');
  const rules = await readFile(file, 'utf8');
  await writeFile(file, `host all postgres 127.0.0.1/32 trust\n${rules}`);
  await asSuperuser(url, async (client) => {
    const { rows } = await client.query<{ version: number }>(
      "select current_setting('server_version_num')::int as version",
    );
    // A client hashes a role's password 4,096 times for each connection; PostgreSQL 15 knows no other number.
    if (Number(rows[0]?.version) >= 160_000) await client.query('alter system set scram_iterations = 1');
    await client.query('select pg_reload_conf()');
  });
  // Leaves its cache of the catalog there, which each database then has from the beginning.
  const template = new URL(url);
  template.pathname = '/template1';
  await asSuperuser(template.href, (client) => client.query('select'));
}

async function asSuperuser(url: string, use: (client: pg.Client) => Promise<unknown>): Promise<void> {
  const client = new pg.Client(url);
  await client.connect();
  try {
    await use(client);
  } finally {
    await client.end();
  }
}
