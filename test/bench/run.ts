/** `npm run bench [-- P1 P2 … peers]`: measures, prints a table, writes results.json beside this file. */
import { readdir, writeFile } from 'node:fs/promises';
import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { measure } from './harness.ts';
import type { Bench, Measurement } from './harness.ts';

const wanted = process.argv.slice(2).map((name) => name.toLowerCase());
// The peers are other programs, to be installed first, and `against` needs another build: they run only when named.
const files = (await readdir(import.meta.dirname))
  .filter((file) => /^(p\d+b?|peers|against)\.ts$/.test(file))
  .filter((file) => (wanted.length === 0 ? /^p\d/.test(file) : wanted.includes(file.replace('.ts', ''))))
  .toSorted((a, b) => order(a) - order(b));

function order(file: string): number {
  return Number.parseInt(file.slice(1), 10) || Infinity;
}

const results: Measurement[] = [];
const ends = new Set<() => Promise<void>>();
let failed = files.length === 0;
const line = (...cells: string[]): void => {
  const widths = [5, 50, 10, 10, 8, 8, 8, 8];
  console.log(
    cells.map((cell, at) => (at < 2 ? cell.padEnd(widths[at]!) : cell.padStart(widths[at]!))).join(' '),
  );
};

function show({ name, ratio, floor, ours, limit, met, unit }: Measurement): void {
  const digits = (value: number): string => value.toFixed(value < 1000 ? 1 : 0);
  const ratios = [ratio.median, ratio.min, ratio.max, limit].map((value) => value.toFixed(2));
  const label = unit === 'ms' ? name : `${name} (${unit})`;
  line('', label, digits(floor.median), digits(ours.median), ...ratios, met ? '✔' : '✖');
}

const machine = `${cpus().length} cores, Node ${process.version}, ${process.platform}-${process.arch}`;
console.log(`${machine}, load ${loadavg()[0]?.toFixed(1)}\n`);
line('', '', 'floor ms', 'ours ms', 'ratio', 'min', 'max', 'limit');
for (const file of files) {
  const id = file.replace('.ts', '').toUpperCase();
  const { default: bench } = (await import(join(import.meta.dirname, file))) as { default: Bench };
  console.log(`${id}    ${bench.title}`);
  if (bench.end) ends.add(bench.end);
  try {
    await bench.run(async (name, pair) => {
      const result = await measure(id, name, pair);
      results.push(result);
      if (!result.met) failed = true;
      show(result);
    });
  } catch (error) {
    failed = true;
    console.log(`      ✖ ${error instanceof Error ? error.message : String(error)}`);
  }
}
for (const end of ends) await end();
const about = {
  node: process.version,
  cores: cpus().length,
  load: loadavg()[0],
  at: new Date().toISOString(),
};
await writeFile(
  join(import.meta.dirname, 'results.json'),
  `${JSON.stringify({ ...about, results }, null, 2)}\n`,
);
process.exitCode = failed ? 1 : 0;
