import { spawn } from 'node:child_process';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { once } from 'node:events';

export interface CliOptions {
  /** All that it gets of an environment but PATH, HOME and a cache. */
  env?: Record<string, string>;
  /** Default: an empty folder, which is also its HOME. */
  cwd?: string;
  /** What it reads; its input is never a terminal. */
  input?: string | Uint8Array;
  /** Killed after so many milliseconds; then `code` is null. */
  timeout?: number;
}

export interface CliResult {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

/** A command that runs: for tests that signal it or look at it on its way. */
export interface RunningCli {
  child: ChildProcessWithoutNullStreams;
  result: Promise<CliResult>;
}

const BIN = join(import.meta.dirname, '../../bin/run.js');
/** Compiled code, of which each of them would otherwise make its own. */
const CACHE = join(import.meta.dirname, '../../node_modules/.cache');

/** Runs the built `mpm-migrate` and waits for its end. */
export async function cli(args: string[], options: CliOptions = {}): Promise<CliResult> {
  return (await startCli(args, options)).result;
}

/** Starts the built `mpm-migrate`. Await `result` before the test ends. */
export async function startCli(args: string[], options: CliOptions = {}): Promise<RunningCli> {
  const home = await mkdtemp(join(tmpdir(), 'mpm-cli-'));
  const child = spawn(process.execPath, [BIN, ...args], {
    cwd: options.cwd ?? home,
    env: { PATH: process.env['PATH'], HOME: home, XDG_CACHE_HOME: CACHE, ...options.env },
    timeout: options.timeout ?? 25_000,
    killSignal: 'SIGKILL',
  });
  // Without a reader at its end, a write to its input is no failure of the test.
  child.stdin.on('error', () => {});
  child.stdin.end(options.input ?? '');
  const result = (async () => {
    const [stdout, stderr, [code, signal]] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, 'close') as Promise<[number | null, NodeJS.Signals | null]>,
    ]);
    await rm(home, { recursive: true, force: true });
    return { code, signal, stdout, stderr };
  })();
  return { child, result };
}
