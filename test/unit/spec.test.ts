import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';

const root = join(import.meta.dirname, '../..');

/** The numbers of the lines of a page. */
function linesOf(page: string): number[] {
  const text = readFileSync(join(root, 'docs/spec', page), 'utf8');
  return [...text.matchAll(/^\*\*(\d+)\.\*\* /gm)].map(([, number]) => Number(number));
}

/** The numbers that tests cite: `engine 11`, `fleet 39, 40 and 55`. */
function citedIn(kind: string): Set<number> {
  const files = readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' });
  const texts = files
    .filter((file) => file.endsWith('.test.ts') && !file.includes('node_modules'))
    .map((file) => readFileSync(join(root, 'test', file), 'utf8'));
  const cited = texts.flatMap((text) => [
    ...text.matchAll(new RegExp(String.raw`\b${kind} (\d+(?:(?:, | and )\d+)*)`, 'g')),
  ]);
  return new Set(cited.flatMap(([, list = '']) => list.match(/\d+/g)?.map(Number) ?? []));
}

const kinds = readdirSync(join(root, 'docs/spec'))
  .map((page) => page.replace(/\.md$/, ''))
  .filter((kind) => kind !== 'README' && kind !== 'glossary');

test.each(kinds)('each line of docs/spec/%s.md has a test, and each citation a line', (kind) => {
  const lines = linesOf(`${kind}.md`);
  expect(lines).toEqual([...new Set(lines)].toSorted((a, b) => a - b));
  const cited = citedIn(kind);
  expect(lines.filter((number) => !cited.has(number))).toEqual([]);
  expect([...cited].filter((number) => !lines.includes(number))).toEqual([]);
});
