import { stripVTControlCharacters } from 'node:util';

import { withoutCommands } from '../text.ts';

export { harmless, oneLine } from '../text.ts';

// One column each: ASCII, Latin letters, and the signs of our own texts.
const PLAIN = /^[\x20-\x7e\u00a1-\u00ac\u00ae-\u024f–—‘’“”…›→─│━╌▲▸✔✖\u2800-\u28ff]*$/;
const ZERO_WIDTH = /^[\p{Mn}\p{Me}\p{Cf}]+$/u;
const EMOJI = /\p{Emoji_Presentation}|\u{fe0f}/u;
// East Asian Wide and Fullwidth blocks of Unicode's table, coarse where a block is wide as a whole.
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\ua960-\ua97c\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{1b000}-\u{1b2ff}\u{20000}-\u{3fffd}]/u;

// Made when it is first needed, because that loads ICU's tables: 8 ms, and most texts are plain.
let segmenter: Intl.Segmenter | undefined;

function graphemesOf(text: string): Iterable<{ segment: string }> {
  segmenter ??= new Intl.Segmenter(undefined, { granularity: 'grapheme' });
  return segmenter.segment(text);
}

/** Columns that a text takes on a terminal; escape codes take none. */
export function widthOf(text: string): number {
  const bare = PLAIN.test(text) ? text : stripVTControlCharacters(text);
  if (PLAIN.test(bare)) return bare.length;
  let width = 0;
  for (const { segment } of graphemesOf(bare)) width += widthOfGrapheme(segment);
  return width;
}

function widthOfGrapheme(grapheme: string): number {
  if (ZERO_WIDTH.test(grapheme)) return 0;
  return EMOJI.test(grapheme) || WIDE.test(grapheme) ? 2 : 1;
}

/** Cuts plain text (no escape codes) to so many columns; the mark of the cut is within them. */
export function truncate(text: string, columns: number, ellipsis = '…'): string {
  if (widthOf(text) <= columns) return text;
  const room = columns - ellipsis.length;
  if (room <= 0) return ellipsis.slice(0, Math.max(0, columns));
  let cut = '';
  let width = 0;
  for (const { segment } of graphemesOf(text)) {
    const next = width + widthOfGrapheme(segment);
    if (next > room) break;
    cut += segment;
    width = next;
  }
  return cut.trimEnd() + ellipsis;
}

export function padEnd(text: string, columns: number): string {
  return text + ' '.repeat(Math.max(0, columns - widthOf(text)));
}

export function padStart(text: string, columns: number): string {
  return ' '.repeat(Math.max(0, columns - widthOf(text))) + text;
}

/** `0.3s`, `17.3s`, `2m 05s`, `1h 04m`; takes ms. */
export function duration(ms: number): string {
  const tenths = Math.round(ms / 100);
  if (tenths < 600) return `${(tenths / 10).toFixed(1)}s`;
  const seconds = Math.round(ms / 1000);
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m ${two(seconds % 60)}s`;
  const minutes = Math.floor(seconds / 60);
  return `${Math.floor(minutes / 60)}h ${two(minutes % 60)}m`;
}

/** Whole seconds, for what is repainted all the time: `7s`, `2m 05s`; takes ms. */
export function clock(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  return seconds < 60 ? `${seconds}s` : duration(seconds * 1000);
}

function two(number: number): string {
  return String(number).padStart(2, '0');
}

/** `1,000`. */
export function count(number: number): string {
  return String(number).replace(/\B(?=(\d{3})+$)/g, ',');
}

/** `1 tenant`, `1,000 tenants`. */
export function plural(number: number, one: string, many = `${one}s`): string {
  return `${count(number)} ${number === 1 ? one : many}`;
}

const WORDS = ['none', 'one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight', 'nine', 'ten'];

/** Numbers up to ten as words, as in running text. */
export function inWords(number: number): string {
  return WORDS[number] ?? count(number);
}

/** Five names "and 407 more"; `total` when only the first names are at hand. */
export function nameList(names: readonly string[], total = names.length, limit = 5): string {
  const shown = names.slice(0, limit);
  const more = total - shown.length;
  if (more > 0) return `${shown.join(', ')} and ${count(more)} more`;
  return shown.length > 1 ? `${shown.slice(0, -1).join(', ')} and ${shown.at(-1)}` : (shown[0] ?? '');
}

export interface Column {
  title: string;
  align?: 'left' | 'right';
  /** This column gives way when the table is too wide; the last such column first. */
  flexible?: boolean;
  /** A flexible column isn't cut to fewer columns of the terminal than this; 8 by default. */
  least?: number;
  /** When there is still no room, this column goes; the one with the greatest number first. */
  spare?: number;
}

export interface TableOptions {
  width: number;
  ellipsis?: string;
  /** How titles are shown. */
  heading?(text: string): string;
}

/** Columns two spaces apart, cut to the width. Cells may hold colour, but not in flexible columns. */
export function table(
  allColumns: readonly Column[],
  allRows: readonly string[][],
  options: TableOptions,
): string[] {
  const kept = keptColumns(allColumns, allRows, options.width);
  const columns = kept.flatMap((at) => allColumns[at] ?? []);
  const rows = allRows.map((row) => kept.map((at) => row[at] ?? ''));
  const widths = columns.map(({ title }, index) =>
    rows.reduce((widest, row) => Math.max(widest, widthOf(row[index] ?? '')), widthOf(title)),
  );
  let excess = widths.reduce((sum, width) => sum + width + 2, -2) - options.width;
  for (const index of columns.map((_, at) => at).toReversed()) {
    if (excess <= 0 || !columns[index]?.flexible) continue;
    const least = columns[index]?.least ?? LEAST;
    const width = Math.min(widths[index] ?? 0, Math.max(least, (widths[index] ?? 0) - excess));
    excess -= (widths[index] ?? 0) - width;
    widths[index] = width;
  }
  const line = (cells: readonly string[]) =>
    columns
      .map(({ align, flexible }, index) => {
        const cell = cells[index] ?? '';
        const width = widths[index] ?? 0;
        const text = flexible ? truncate(cell, width, options.ellipsis) : cell;
        return align === 'right' ? padStart(text, width) : padEnd(text, width);
      })
      .join('  ')
      .trimEnd();
  const heading = line(columns.map(({ title }) => title));
  return [options.heading ? options.heading(heading) : heading, ...rows.map(line)];
}

const LEAST = 8;

/** Those columns for which there is room, by their places. */
function keptColumns(columns: readonly Column[], rows: readonly string[][], width: number): number[] {
  const narrowest = columns.map(({ title, flexible, least = LEAST }, at) => {
    const whole = rows.reduce((widest, row) => Math.max(widest, widthOf(row[at] ?? '')), widthOf(title));
    return flexible ? Math.min(whole, least) : whole;
  });
  let kept = columns.map((_, at) => at);
  while (kept.reduce((sum, at) => sum + (narrowest[at] ?? 0) + 2, -2) > width) {
    const spare = Math.max(...kept.map((at) => columns[at]?.spare ?? 0));
    if (spare <= 0) break;
    kept = kept.filter((at) => columns[at]?.spare !== spare);
  }
  return kept;
}

/** Breaks plain text at spaces into lines of so many columns; longer words stay whole, indents stay. */
export function wrapLines(texts: readonly string[], columns: number): string[] {
  return texts.flatMap((paragraph) => {
    if (widthOf(paragraph) <= columns) return [paragraph];
    const lines: string[] = [];
    let line = '';
    for (const word of paragraph.split(/(?<=\S) +(?=\S)/)) {
      if (line && widthOf(line) + 1 + widthOf(word) > columns) {
        lines.push(line);
        line = withoutCommands(word);
      } else {
        line = line ? `${line} ${word}` : word;
      }
    }
    return [...lines, line];
  });
}

/** Parts in one line, three spaces apart, or in several when the width asks for it. */
export function joinParts(parts: readonly string[], columns: number): string {
  const lines: string[] = [];
  for (const part of parts) {
    const last = lines.at(-1);
    if (last !== undefined && widthOf(last) + 3 + widthOf(part) <= columns)
      lines.push(`${lines.pop()}   ${part}`);
    else lines.push(last === undefined ? part : `  ${part}`);
  }
  return lines.join('\n');
}
