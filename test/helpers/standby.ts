import { execFile, spawn } from 'node:child_process';
import { appendFile, chown, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import pg from 'pg';
import type { EmbeddedServer } from '../../src/postgres/embedded/embedded.ts';
import { startServer } from './server.ts';

const run = promisify(execFile);

/**
 * A hot standby of a server, from a copy of its files. The server is stopped and started for it.
 * @param name what it calls itself where it follows the server; it follows nobody without
 */
export async function startStandby(of: EmbeddedServer, name?: string): Promise<EmbeddedServer> {
  const standby = await startServer();
  try {
    const [start, startStandby] = [await stop(of), await stop(standby)];
    const data = join(standby.dir, 'data');
    const { uid, gid } = await stat(data);
    await rm(data, { recursive: true });
    await run('cp', ['-a', join(of.dir, 'data'), data]);
    await writeFile(join(data, 'standby.signal'), '');
    if (name !== undefined) {
      const { hostname, port, username, password } = new URL(of.url);
      const info = `host=${hostname} port=${port} user=${username} password=${password} application_name=${name}`;
      await appendFile(join(data, 'postgresql.auto.conf'), `primary_conninfo = '${info}'\n`);
    }
    await chown(join(data, 'standby.signal'), uid, gid);
    start();
    startStandby();
    const url = new URL(of.url);
    url.port = String(standby.port);
    for (const each of [of.url, url.href]) while (!(await answers(each))) await sleep(50);
    return { ...standby, url: url.href };
  } catch (error) {
    await standby.stop();
    throw error;
  }
}

/** @returns what starts it again */
async function stop({ dir }: EmbeddedServer): Promise<() => void> {
  const file = join(dir, 'data/postmaster.pid');
  const [pid = ''] = (await readFile(file, 'utf8')).split('\n');
  const [program = '', ...args] = (await readFile(`/proc/${pid}/cmdline`, 'utf8')).split('\0').slice(0, -1);
  const { uid, gid } = await stat(join(dir, 'data'));
  process.kill(Number(pid), 'SIGINT');
  while (await readFile(file).catch(() => undefined)) await sleep(20);
  return () => spawn(program, args, { cwd: dir, uid, gid, detached: true, stdio: 'ignore' }).unref();
}

async function answers(url: string): Promise<boolean> {
  const client = new pg.Client(url);
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.end();
    return true;
  } catch {
    return false;
  }
}
