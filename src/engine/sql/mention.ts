import { readFileSync } from 'node:fs';
import type { Migration } from '../migration.ts';

const NAME = String.raw`((?:"[^"]+"|[\w$]+)(?:\s*\.\s*(?:"[^"]+"|[\w$]+))?)`;
const OBJECT =
  'aggregate|collation|domain|function|index|materialized view|operator|procedure|schema|sequence|table|type|view';

/** What a statement makes: `create table if not exists app.readings`, `add column unit`. */
const MAKES = [
  new RegExp(
    String.raw`\bcreate\s+(?:or\s+replace\s+|unlogged\s+|unique\s+|recursive\s+)*(?:${OBJECT.replace(' ', String.raw`\s+`)})\s+(?:concurrently\s+)?(?:if\s+not\s+exists\s+)?${NAME}`,
    'gi',
  ),
  new RegExp(
    String.raw`\badd\s+(?!(?:constraint|primary|foreign|unique|check|exclude|value|table|generated)\b)(?:column\s+)?(?:if\s+not\s+exists\s+)?${NAME}`,
    'gi',
  ),
  // Kysely's, in modules.
  /\b(?:createTable|createView|createType|createSchema|createIndex|addColumn)\s*\(\s*['"`]([^'"`]+)['"`]/g,
];

/** Words that are nobody's name. */
const COMMON = new Set(['id', 'name', 'public', 'on', 'column']);

/**
 * Which of the migrations mention what others have made: a word of theirs is the name of a table, a view, a function, a
 * column, … of those. It goes by the text, and so names too many rather than too few: what a migration makes cannot be
 * told where no name is found in it, and then all are taken to mention it.
 */
export function mentioning(made: readonly Migration[], others: readonly Migration[]): Migration[] {
  const names = made.map((migration) => namesMadeBy(textOf(migration.up)));
  if (names.some((each) => each.size === 0)) return [...others];
  const all = new Set(names.flatMap((each) => [...each]));
  return others.filter(({ up }) => wordsOf(textOf(up)).some((word) => all.has(word)));
}

export function namesMadeBy(text: string): Set<string> {
  const found = MAKES.flatMap((pattern) => [...text.matchAll(pattern)].map(([, name = '']) => name));
  const bare = found.flatMap((name) => wordsOf(name).slice(-1));
  return new Set(bare.filter((name) => !COMMON.has(name)));
}

function wordsOf(text: string): string[] {
  return text.toLowerCase().match(/[\w$\u0080-\uffff]+/g) ?? [];
}

function textOf(script: Migration['up']): string {
  if (script.kind === 'sql') return script.sql;
  try {
    return readFileSync(script.path, 'utf8');
  } catch {
    return '';
  }
}
