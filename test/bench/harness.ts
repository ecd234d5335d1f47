/**
 * What every bench is made of. To add one: a file `p2.ts` whose default export is a `Bench`; `npm run bench -- P2`
 * finds it by its name. It sets up what it needs and removes it (`await using server = await startEmbedded({
 * fsync: true })` is not for Node 20: use try and finally), and gives one row for each ratio it measures:
 *
 *   const bench: Bench = {
 *     title: 'up --all, nothing to do',
 *     async run(row) {
 *       await row('500 tenants', { limit: 1.25, floor: () => pgbench(), ours: () => node('up', '--all') });
 *     },
 *   };
 *   export default bench;
 *
 * `floor` and `ours` are timed by the harness, or return their own measurement as a number (milliseconds,
 * bytes: only the ratio counts). They run in turn, A B A B, so that a slow minute of the machine meets both.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

export interface Bench {
  title: string;
  run(row: Row): Promise<void>;
}

export type Row = (name: string, pair: Pair) => Promise<void>;

export interface Pair {
  floor: () => Promise<number | void>;
  ours: () => Promise<number | void>;
  /** What the ratio may be at most. */
  limit: number;
  /** Between the two measurements of a pair and after: whatever makes the next one start alike. */
  reset?: () => Promise<void>;
  /** Measured pairs. Default: 5. */
  pairs?: number;
  /** Pairs before them that do not count. Default: 1. */
  warmUp?: number;
}

export interface Measurement {
  bench: string;
  name: string;
  limit: number;
  /** Ours to the floor, of each pair. */
  ratio: Spread;
  floor: Spread;
  ours: Spread;
}

export interface Spread {
  median: number;
  min: number;
  max: number;
}

/** Measures pairs in alternation. */
export async function measure(bench: string, name: string, pair: Pair): Promise<Measurement> {
  const { floor, ours, reset, limit, pairs = 5, warmUp = 1 } = pair;
  const measured: { floor: number; ours: number }[] = [];
  for (let round = -warmUp; round < pairs; round++) {
    const below = await timed(floor);
    await reset?.();
    const above = await timed(ours);
    await reset?.();
    if (round >= 0) measured.push({ floor: below, ours: above });
  }
  return {
    bench,
    name,
    limit,
    ratio: spread(measured.map((one) => one.ours / one.floor)),
    floor: spread(measured.map((one) => one.floor)),
    ours: spread(measured.map((one) => one.ours)),
  };
}

async function timed(work: () => Promise<number | void>): Promise<number> {
  const started = performance.now();
  const own = await work();
  return own ?? performance.now() - started;
}

function spread(values: number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (index: number): number => sorted[Math.floor(index)] ?? Number.NaN;
  const middle = (sorted.length - 1) / 2;
  return { median: (at(middle) + at(middle + 0.5)) / 2, min: at(0), max: at(sorted.length - 1) };
}

const BIN = join(import.meta.dirname, '../../bin/run.js');

/** Runs a program to its end, its output thrown away; anything but exit code 0 is an error. */
export async function program(
  command: string,
  args: string[],
  { env = {}, cwd = '/' }: { env?: Record<string, string>; cwd?: string } = {},
): Promise<void> {
  const child = spawn(command, args, {
    cwd,
    env: { PATH: process.env['PATH'], HOME: '/nonexistent', ...env },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let said = '';
  child.stderr.on('data', (chunk: Buffer) => (said = `${said}${chunk.toString()}`.slice(-2000)));
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${code}\n${said}`);
}

/** Runs the built `mpm-migrate`. */
export async function mpm(args: string[], options?: Parameters<typeof program>[2]): Promise<void> {
  await program(process.execPath, [BIN, ...args], options);
}
