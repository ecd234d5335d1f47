import { readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Migration } from '../../engine/migration.ts';
import type { Beside } from '../tool.ts';

/** Empty where it can't be read: then it says nothing. */
export function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

const INDEXES = ['index.ts', 'index.mts', 'index.js', 'index.mjs'];
const EXPORT = /\bexport\s*\*\s*as\s*(?:([\w$]+)|(['"])(.+?)\2)\s*from\s*(['"])(.+?)\4/g;

/** What an index of modules beside a migration calls it: `export * as _20230101_a from './20230101_a'`. */
export function exportsOfIndex({ path }: Migration, beside: Beside): string[] {
  const own = withoutExtension(basename(path));
  return INDEXES.flatMap((index) =>
    beside(join(dirname(path), index), exportsIn).flatMap(({ name, file }) => (file === own ? [name] : [])),
  );
}

function exportsIn(text: string): { name: string; file: string }[] {
  return [...text.matchAll(EXPORT)].map(([, word, , quoted = '', , file = '']) => ({
    name: word ?? quoted,
    file: withoutExtension(file.replace(/^\.\//, '')),
  }));
}

function withoutExtension(file: string): string {
  return file.replace(/\.[cm]?[jt]s$/, '');
}

/** The names of the classes in a module, and what they call themselves. */
export function classesIn({ path }: Migration): string[] {
  if (!/\.[cm]?[jt]s$/.test(path)) return [];
  const text = textOf(path);
  const names = [...text.matchAll(/\bclass\s+([\w$]+)/g), ...text.matchAll(/\bname\s*=\s*['"`]([^'"`]+)/g)];
  return [...new Set(names.map(([, name = '']) => name))];
}
