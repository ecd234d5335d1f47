import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Migration } from '../../engine/migration.ts';
import { JOURNAL } from '../../engine/source/neighbours.ts';
import type { Beside } from '../tool.ts';

/**
 * What Drizzle keeps of a file before 1.0, the surest first: the time that its journal gives it, and the SHA-256 of the
 * file, which parts two of one time. The folders of 1.0 have the time to the second.
 */
export function drizzleKeys(when: string, hash: string): string[] {
  const second = when.slice(0, -3);
  return [`at ${when} ${hash}`, `at ${when}`, `in ${second} ${hash}`, `in ${second}`, `is ${hash}`];
}

export function drizzleKeysOf({ name, path }: Migration, beside: Beside): string[] {
  let hash: string;
  try {
    hash = createHash('sha256').update(readFileSync(path).toString()).digest('hex');
  } catch {
    return [];
  }
  const when = beside(join(dirname(path), JOURNAL), timesIn).get(name);
  const second = folderSecond(name);
  const times = [
    ...(when === undefined ? [] : [`at ${when}`]),
    ...(second === undefined ? [] : [`in ${second}`]),
  ];
  return [...times.flatMap((time) => [`${time} ${hash}`, time]), `is ${hash}`];
}

function timesIn(text: string): ReadonlyMap<string, number> {
  try {
    const journal = JSON.parse(text) as { entries: { tag: string; when: number }[] };
    return new Map(journal.entries.map(({ tag, when }) => [tag, when]));
  } catch {
    return new Map();
  }
}

function folderSecond(name: string): number | undefined {
  const [, year, ...rest] = /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)/.exec(name) ?? [];
  if (year === undefined) return undefined;
  const [month = 1, day, hour, minute, second] = rest.map(Number);
  return Date.UTC(Number(year), month - 1, day, hour, minute, second) / 1000;
}
