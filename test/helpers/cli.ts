import { fork, spawn } from 'node:child_process';
import type { ChildProcess, ChildProcessWithoutNullStreams } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
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
  /** In a process of its own, as users run it: for tests of the start, of signals, and of what a process leaves behind. */
  alone?: boolean;
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
const RUNNER = join(import.meta.dirname, 'cli-runner.cjs');
/** Compiled code, of which each of them would otherwise make its own. */
const CACHE = join(import.meta.dirname, '../../node_modules/.cache');
const TIMEOUT = 25_000;
/** What is read once in a process, when it starts or loads a package. */
const OF_THE_START = /^(?:NODE_|NO_COLOR|FORCE_COLOR|COLUMNS|TERM|CI|DEBUG|TZ|LANG|LC_|XDG_)/;

/**
 * Runs the built `mpm-migrate` and waits for its end. Unless it is to be alone, in a process that has run others before:
 * a start takes ten times as long as most commands.
 */
export async function cli(args: string[], options: CliOptions = {}): Promise<CliResult> {
  const alone = options.alone || Object.keys(options.env ?? {}).some((name) => OF_THE_START.test(name));
  return alone ? (await startCli(args, options)).result : runInRunner(args, options);
}

/** Starts the built `mpm-migrate` in a process of its own. Await `result` before the test ends. */
export async function startCli(args: string[], options: CliOptions = {}): Promise<RunningCli> {
  const home = await mkdtemp(join(tmpdir(), 'mpm-cli-'));
  const child = spawn(process.execPath, [BIN, ...args], {
    cwd: options.cwd ?? home,
    env: environment(home, options),
    timeout: options.timeout ?? TIMEOUT,
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

function environment(home: string, { env }: CliOptions): Record<string, string | undefined> {
  return { PATH: process.env['PATH'], HOME: home, XDG_CACHE_HOME: CACHE, ...env };
}

interface Runner {
  child: ChildProcess;
  /** What ends what a command wrote on a stream. */
  end: string;
}

/** Those that have nothing to do, kept from one test file to the next. They end with this process. */
const idle = ((globalThis as { mpmCliRunners?: Runner[] }).mpmCliRunners ??= []);

/** Whether a process, as `ps` shows it, is one that waits here for the next command. */
export const isCliRunner = (args: string): boolean => args.includes(RUNNER);

function startRunner(): Runner {
  const end = `\0${randomUUID()}`;
  const child = fork(RUNNER, [end.slice(1)], {
    env: { PATH: process.env['PATH'], XDG_CACHE_HOME: CACHE },
    execArgv: [],
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  child.unref();
  child.channel?.unref();
  for (const stream of [child.stdout, child.stderr]) (stream as unknown as { unref(): void }).unref();
  return { child, end };
}

async function runInRunner(args: string[], options: CliOptions): Promise<CliResult> {
  const home = await mkdtemp(join(tmpdir(), 'mpm-cli-'));
  let runner = idle.pop();
  while (runner && !runner.child.connected) runner = idle.pop();
  runner ??= startRunner();
  const { child, end } = runner;
  const [stdout, stderr] = [readTo(child.stdout as Readable, end), readTo(child.stderr as Readable, end)];
  const timer = setTimeout(() => child.kill('SIGKILL'), options.timeout ?? TIMEOUT);
  const over = new AbortController();
  const closed = onceUntil<[number | null, NodeJS.Signals | null]>(child, 'close', over.signal);
  const answered = onceUntil<[{ code: number }]>(child, 'message', over.signal);
  const input = Buffer.from(options.input ?? '').toString('base64');
  child.send({ args, cwd: options.cwd ?? home, env: environment(home, options), input }, () => {});
  const [code, signal] = await Promise.race([
    closed,
    answered.then(([answer]) => [answer.code, null] as const),
  ]);
  const result = { code, signal, stdout: await stdout, stderr: await stderr };
  over.abort();
  clearTimeout(timer);
  if (child.connected) idle.push(runner);
  await rm(home, { recursive: true, force: true });
  return result;
}

/** What comes with an event; nothing ever, where the signal comes first. */
function onceUntil<Args>(child: ChildProcess, event: string, signal: AbortSignal): Promise<Args> {
  return new Promise((resolve) => {
    const listener = (...args: unknown[]): void => resolve(args as Args);
    child.once(event, listener);
    signal.addEventListener('abort', () => child.off(event, listener), { once: true });
  });
}

/** What is on a stream up to a mark, or to its end. */
function readTo(stream: Readable, mark: string): Promise<string> {
  return new Promise((resolve) => {
    const read: Buffer[] = [];
    const onData = (chunk: Buffer): void => {
      read.push(chunk);
      if (Buffer.concat(read.slice(-2)).subarray(-mark.length).equals(Buffer.from(mark))) finish(mark.length);
    };
    const onEnd = (): void => finish(0);
    const finish = (cut: number): void => {
      stream.off('data', onData).off('end', onEnd);
      const all = Buffer.concat(read);
      resolve(all.toString('utf8', 0, all.length - cut));
    };
    stream.on('data', onData).on('end', onEnd);
  });
}
