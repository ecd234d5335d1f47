import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chown, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { unprivilegedUser } from '../../src/postgres/embedded/embedded-programs.ts';

export interface PgbouncerOptions {
  mode: 'session' | 'transaction' | 'statement';
  /** Connections to the server per database and user. Default: 5. */
  size?: number;
}

export interface Pgbouncer extends AsyncDisposable {
  port: number;
  /** The same URL, through it. */
  through(url: string): string;
  stop(): Promise<void>;
}

const PROGRAM = '/usr/sbin/pgbouncer';

/** Whether this machine has it: `describe.skipIf(!pgbouncerAvailable)`. */
export const pgbouncerAvailable = existsSync(PROGRAM);

/** Starts PgBouncer in front of the server of a URL, for that URL's user and all databases. */
export async function startPgbouncer(serverUrl: string, options: PgbouncerOptions): Promise<Pgbouncer> {
  const server = new URL(serverUrl);
  const user = await unprivilegedUser();
  const dir = await mkdtemp(join(tmpdir(), 'mpm-pgbouncer-'));
  const port = await freePort();
  const files = { 'users.txt': users(server), 'pgbouncer.ini': configuration(server, dir, port, options) };
  for (const [name, text] of Object.entries(files)) {
    await writeFile(join(dir, name), text, { mode: 0o600 });
    if (user) await chown(join(dir, name), user.uid, user.gid);
  }
  if (user) await chown(dir, user.uid, user.gid);

  // Ends when this process does, for then its input ends.
  const guard = '"$@" & pid=$!; cat > /dev/null; kill "$pid"; wait "$pid"';
  const child = spawn('/bin/sh', ['-c', guard, 'sh', PROGRAM, '-q', join(dir, 'pgbouncer.ini')], {
    stdio: ['pipe', 'ignore', 'ignore'],
    ...user,
  });
  const stop = async (): Promise<void> => {
    if (child.exitCode === null) {
      child.stdin.end();
      await once(child, 'exit');
    }
    await rm(dir, { recursive: true, force: true });
  };
  if (!(await accepts(port))) {
    const log = await readFile(join(dir, 'log'), 'utf8').catch(() => 'it wrote no log');
    await stop();
    throw new Error(`PgBouncer did not start:\n${log}`);
  }
  const through = (url: string): string => {
    const target = new URL(url);
    target.host = `127.0.0.1:${port}`;
    return target.href;
  };
  return { port, through, stop, [Symbol.asyncDispose]: stop };
}

function users({ username, password }: URL): string {
  return `"${decodeURIComponent(username)}" "${decodeURIComponent(password)}"\n`;
}

function configuration(server: URL, dir: string, port: number, { mode, size = 5 }: PgbouncerOptions): string {
  return [
    '[databases]',
    `* = host=${server.hostname} port=${server.port || 5432}`,
    '[pgbouncer]',
    'listen_addr = 127.0.0.1',
    `listen_port = ${port}`,
    'unix_socket_dir =',
    'auth_type = scram-sha-256',
    `auth_file = ${join(dir, 'users.txt')}`,
    `logfile = ${join(dir, 'log')}`,
    `pool_mode = ${mode}`,
    `default_pool_size = ${size}`,
    'max_client_conn = 500',
    '',
  ].join('\n');
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}

async function accepts(port: number): Promise<boolean> {
  for (const deadline = Date.now() + 10_000; Date.now() < deadline; await sleep(20)) {
    const socket = connect(port, '127.0.0.1');
    const connected = await once(socket, 'connect').then(
      () => true,
      () => false,
    );
    socket.destroy();
    if (connected) return true;
  }
  return false;
}
