/** `npm run bench [-- P1 P2 …]`: measures, prints a table, writes results.json beside this file. */
import { readdir, writeFile } from 'node:fs/promises';
import { cpus } from 'node:os';
import { join } from 'node:path';
import { measure } from './harness.ts';
import type { Bench, Measurement } from './harness.ts';

const wanted = process.argv.slice(2).map((name) => name.toLowerCase());
const files = (await readdir(import.meta.dirname))
  .filter((file) => /^p\d+\w?\.ts$/.test(file))
  .filter((file) => wanted.length === 0 || wanted.includes(file.replace('.ts', '')))
  .toSorted((a, b) => Number.parseInt(a.slice(1), 10) - Number.parseInt(b.slice(1), 10));

const results: Measurement[] = [];
let failed = files.length === 0;
const line = (...cells: string[]): void => {
  const widths = [5, 44, 10, 10, 8, 8, 8, 8];
  console.log(
    cells.map((cell, at) => (at < 2 ? cell.padEnd(widths[at]!) : cell.padStart(widths[at]!))).join(' '),
  );
};

console.log(`${cpus().length} cores, Node ${process.version}, ${process.platform}-${process.arch}\n`);
line('', '', 'floor ms', 'ours ms', 'ratio', 'min', 'max', 'limit');
for (const file of files) {
  const id = file.replace('.ts', '').toUpperCase();
  const { default: bench } = (await import(join(import.meta.dirname, file))) as { default: Bench };
  console.log(`${id}    ${bench.title}`);
  try {
    await bench.run(async (name, pair) => {
      const result = await measure(id, name, pair);
      const { ratio, floor, ours, limit } = result;
      results.push(result);
      if (ratio.median > limit) failed = true;
      const cells = [floor.median.toFixed(1), ours.median.toFixed(1)];
      const ratios = [ratio.median, ratio.min, ratio.max, limit].map((value) => value.toFixed(2));
      line('', name, ...cells, ...ratios, ratio.median > limit ? '✖ over' : '✔');
    });
  } catch (error) {
    failed = true;
    console.log(`      ✖ ${error instanceof Error ? error.message : String(error)}`);
  }
}
const about = { node: process.version, cores: cpus().length, at: new Date().toISOString() };
await writeFile(
  join(import.meta.dirname, 'results.json'),
  `${JSON.stringify({ ...about, results }, null, 2)}\n`,
);
process.exitCode = failed ? 1 : 0;
