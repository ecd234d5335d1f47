/**
 * What every bench is made of. To add one: a file `p2.ts` whose default export is a `Bench`; `npm run bench -- P2`
 * finds it by its name. It sets up what it needs and removes it (`await using server = await startEmbedded({
 * fsync: true })` is not for Node 20: use try and finally), and gives one row for each ratio it measures:
 *
 *   const bench: Bench = {
 *     title: 'up --all, nothing to do',
 *     async run(row) {
 *       await row('500 tenants', { limit: 1.25, floor: () => pgbench(), ours: () => mpm(['up', '--all']) });
 *     },
 *   };
 *   export default bench;
 *
 * `floor` and `ours` are timed by the harness, or return their own measurement as a number (milliseconds,
 * megabytes). They run in turn, A B A B, so that a slow minute of the machine meets both.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Bench {
  title: string;
  run(row: Row): Promise<void>;
  /** After all benches: removes what it shares with another one. */
  end?(): Promise<void>;
}

export type Row = (name: string, pair: Pair) => Promise<void>;

export interface Pair {
  floor: () => Promise<unknown>;
  ours: () => Promise<unknown>;
  /** What the ratio may be at most; with `atLeast`, at least; with `difference`, how much more ours may be. */
  limit: number;
  atLeast?: boolean;
  difference?: boolean;
  /** Of what `floor` and `ours` return. Default: ms. */
  unit?: string;
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
  met: boolean;
  unit: string;
  /** Ours to the floor, of each pair: their ratio, or their difference. */
  ratio: Spread;
  difference: boolean;
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
  const { floor, ours, reset, limit, pairs = 5, warmUp = 1, unit = 'ms', difference = false } = pair;
  const measured: { floor: number; ours: number }[] = [];
  for (let round = -warmUp; round < pairs; round++) {
    const below = await timed(floor);
    await reset?.();
    const above = await timed(ours);
    await reset?.();
    if (round >= 0) measured.push({ floor: below, ours: above });
  }
  const ratio = spread(measured.map((one) => (difference ? one.ours - one.floor : one.ours / one.floor)));
  return {
    bench,
    name,
    limit,
    met: pair.atLeast ? ratio.median >= limit : ratio.median <= limit,
    unit,
    ratio,
    difference,
    floor: spread(measured.map((one) => one.floor)),
    ours: spread(measured.map((one) => one.ours)),
  };
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  const own = await work();
  return typeof own === 'number' ? own : performance.now() - started;
}

function spread(values: number[]): Spread {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (index: number): number => sorted[Math.floor(index)] ?? Number.NaN;
  const middle = (sorted.length - 1) / 2;
  return { median: (at(middle) + at(middle + 0.5)) / 2, min: at(0), max: at(sorted.length - 1) };
}

const BIN = join(import.meta.dirname, '../../bin/run.js');
// Empty, and removed at the end: what programs keep there for their next start is part of how fast they start.
const HOME = mkdtempSync(join(tmpdir(), 'mpm-bench-home-'));
process.once('exit', () => rmSync(HOME, { recursive: true, force: true }));

/** Where and with what a program runs; of the environment it has PATH and HOME beside. */
export interface Place {
  env?: Record<string, string>;
  cwd?: string;
  /** The `bin/run.js` of another build than this one. */
  bin?: string | undefined;
}

/** Runs a program to its end; its output. Anything but exit code 0 is an error. */
export async function program(
  command: string,
  args: readonly string[],
  { env = {}, cwd = '/' }: Place = {},
): Promise<string> {
  const child = spawn(command, args, {
    cwd,
    env: { PATH: process.env['PATH'], HOME, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  let said = '';
  child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (said = `${said}${chunk.toString()}`.slice(-2000)));
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0)
    throw new Error(`${command} ${args.join(' ')} ended with ${code}\n${said}${output.slice(-2000)}`);
  return output;
}

/** Runs the built `mpm-migrate`; what it prints on stdout. */
export function mpm(args: readonly string[], place?: Place): Promise<string> {
  return program(process.execPath, [place?.bin ?? BIN, ...args], place);
}

/** The command that runs the built `mpm-migrate`, for a shell. */
export function mpmCommand(args: readonly string[]): string {
  return [process.execPath, BIN, ...args].join(' ');
}
