import type { SourceExcerpt } from '../errors.ts';

/** The place of an offset (UTF-16 units) in a file: line and column from 1, the column in code points, and the lines around. */
export function excerptAt(path: string, text: string, offset: number): SourceExcerpt {
  const before = text.slice(0, offset).split(/\r\n|\r|\n/);
  const line = before.length;
  const column = [...(before.at(-1) ?? '')].length + 1;
  const first = Math.max(1, line - 1);
  const start = text.length - textFrom(text, first).length;
  // Only what is shown is split: a dump of many megabytes would otherwise be copied line by line.
  const shown = text.slice(start, start + 100_000).split(/\r\n|\r|\n/, line - first + 2);
  const lines = shown.map((content, index) => ({
    number: first + index,
    text: content.length > 400 ? `${content.slice(0, 400)}…` : content,
    failing: first + index === line,
  }));
  return { file: path, line, column, lines };
}

/** The text from the given line on. */
export function textFrom(text: string, line: number): string {
  const breaks = /\r\n|\r|\n/g;
  let start = 0;
  for (let current = 1; current < line; current += 1) {
    if (!breaks.exec(text)) break;
    start = breaks.lastIndex;
  }
  return text.slice(start);
}

/** The offset in UTF-16 units of a position that counts code points from 1, as PostgreSQL's errors do. */
export function offsetOfPosition(text: string, position: number): number {
  let offset = 0;
  for (let points = 1; points < position && offset < text.length; points += 1) {
    offset += (text.codePointAt(offset) ?? 0) > 0xff_ff ? 2 : 1;
  }
  return offset;
}
