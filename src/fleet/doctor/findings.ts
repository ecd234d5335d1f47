import type { FileProblem } from '../../errors.ts';

/** One thing that was looked at. */
export interface Finding {
  /** What was looked at: configuration, files, central, tenants, or `server` and its name. */
  about: string;
  level: 'ok' | 'warning' | 'error';
  message: string;
  /** What to do; with every warning and error. */
  remedy?: string;
  /** Everything that it is about, where the message names only some. */
  names?: string[];
  /** Everything that is wrong with the files that were read. */
  problems?: readonly FileProblem[];
}

export type Add = (
  about: string,
  level: Finding['level'],
  message: string,
  remedy?: string,
  names?: string[],
) => void;

/** So many of a kind are named. */
export const SHOWN = 5;

/** A finding for each of the first, and one for all others. */
export function addEach<T>(
  items: readonly T[],
  name: (item: T) => string,
  one: (item: T) => void,
  others: (count: number, names: string[]) => void,
): void {
  for (const item of items.slice(0, SHOWN)) one(item);
  const left = items.slice(SHOWN);
  if (left.length) others(left.length, left.map(name));
}

export function quoted(names: readonly string[]): string {
  const more = names.length > SHOWN ? ` and ${names.length - SHOWN} more` : '';
  return `${names
    .slice(0, SHOWN)
    .map((name) => `"${name}"`)
    .join(', ')}${more}`;
}
