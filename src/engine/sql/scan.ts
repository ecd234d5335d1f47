import { isLiquibase } from '../source/liquibase.ts';
import { type Lookalike, lookalikeAt } from '../source/lookalike.ts';
import { signOf } from '../source/marker.ts';
import type { Marker, Sign } from '../source/sign.ts';
import { commentEnd, copyDataEnd, escapeStringEnd } from './scan-ends.ts';

/** One statement of a SQL text. Offsets are UTF-16 units of that text. */
export interface Statement {
  /** Its first character that is neither space nor comment. */
  start: number;
  /** Behind its last character that is neither space nor comment; without the `;`. */
  end: number;
  /** Behind the `;`; the same as `end` when there is none. */
  next: number;
  /** Its first bare words outside parentheses, in lower case: {@link WORDS} at most, of a plain query two. */
  words: string[];
}

/** What keeps a text from being sent as it is. `end` is where the trouble ends: the line's end for a command of psql. */
export interface ScanProblem {
  kind:
    | 'quote'
    | 'identifier'
    | 'dollar-quote'
    | 'comment'
    | 'parenthesis'
    | 'nul'
    | 'meta-command'
    | 'copy-data';
  offset: number;
  end: number;
}

/** A line that holds nothing but a comment that begins with `mpm:`. */
export interface Note {
  offset: number;
  end: number;
  /** What stands behind `--`, without space around it. */
  text: string;
}

export interface Scan {
  statements: Statement[];
  problems: ScanProblem[];
  /** What says something of sections and transactions, whatever tool's it is. */
  markers: Marker[];
  /** What says something of the file itself, and begins no section. */
  notes: Note[];
  lookalikes: Lookalike[];
}

/** Enough for `alter table if exists only a.b detach partition c.d concurrently`. */
const WORDS = 12;

const SPACE = 1;
const LETTER = 2;
const DIGIT = 3;
const classes = new Uint8Array(128);
for (const char of ' \t\n\r\f\v') classes[char.charCodeAt(0)] = SPACE;
for (let code = 0; code < 128; code++) {
  const char = String.fromCharCode(code);
  if (/[A-Za-z_]/.test(char)) classes[code] = LETTER;
  if (/[0-9]/.test(char)) classes[code] = DIGIT;
}

/** Statements of which a file may hold very many, and whose first words are enough. */
const SHORT = new Set(['insert', 'select', 'update', 'delete']);
/** The first words of such statements, shared by all that begin alike. */
const shared = new Map<string, string[]>();
const MOST_SHARED = 1000;

const SHAPING = new Set(['create', 'function', 'procedure', 'or', 'replace']);
const ROUTINE = /^(?:c[fp]|cor[fp])/;

const DOLLAR_TAG = /\$(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$/y;
const WORD = /[\w$\u0080-\uffff]+/y;
const NUMBER = /[0-9][\w$.\u0080-\uffff]*/y;
const NOTE = /--[ \t]*mpm:\S[^\r\n]*/y;
const LINE_END = /[\r\n]|$/g;
/** No marker is longer, but those in files of Liquibase's. */
const LONGEST_MARKER = 1000;
/** What is in each of the others: most comments of a big file need no closer look. */
const IN_MARKERS = /migrat|goose|tern:|above|breakpoint/i;
/** Markers behind which another statement begins. */
const ENDING: ReadonlySet<Sign['kind']> = new Set(['section', 'divide', 'end', 'break']);

/**
 * Splits a SQL text into statements as psql does (psqlscan.l of PostgreSQL 18, `standard_conforming_strings` on),
 * in one pass. Statements with a problem are in the result too, as far as they could be told.
 * @param each takes the statements one by one; then there are none in the result, which of a big file would be
 *   bigger than the file
 */
export function scan(text: string, each?: (statement: Statement) => void): Scan {
  const { length } = text;
  const statements: Statement[] = [];
  const onStatement = each ?? ((statement: Statement) => void statements.push(statement));
  const problems: ScanProblem[] = [];
  const markers: Marker[] = [];
  const notes: Note[] = [];
  const lookalikes: Lookalike[] = [];

  let start = -1;
  let end = 0;
  let words: string[] = [];
  let parentheses = 0;
  let firstParenthesis = 0;
  // What psql's lexer keeps to know `begin atomic … end` bodies: the first four words that matter, and a depth.
  let count = 0;
  let shape = '';
  let isRoutine = false;
  let depth = 0;
  let isCopy = false;
  let copiesFromStdin = false;
  let limit = WORDS;
  const liquibase = isLiquibase(text);

  const match = (pattern: RegExp, at: number): string | undefined => {
    pattern.lastIndex = at;
    return pattern.exec(text)?.[0];
  };
  const finish = (next: number): void => {
    if (parentheses > 0) problems.push({ kind: 'parenthesis', offset: firstParenthesis, end });
    if (start >= 0) onStatement({ start, end, next, words: limit === 2 ? share(words) : words });
    if (copiesFromStdin) problems.push({ kind: 'copy-data', offset: start, end: next });
    start = -1;
    words = [];
    parentheses = 0;
    count = 0;
    isRoutine = false;
    isCopy = false;
    copiesFromStdin = false;
    depth = 0;
  };
  const unterminated = (kind: ScanProblem['kind'], offset: number): number => {
    problems.push({ kind, offset, end: length });
    return length;
  };
  const lineEnd = (at: number): number => {
    LINE_END.lastIndex = at;
    return LINE_END.exec(text)?.index ?? length;
  };
  const startsLine = (at: number): boolean => {
    let before = at - 1;
    while (before >= 0 && (text[before] === ' ' || text[before] === '\t')) before--;
    return before < 0 || text[before] === '\n' || text[before] === '\r';
  };
  const endsLine = (at: number): boolean => text.slice(at, lineEnd(at)).trim() === '';
  const markerAt = (from: number, to: number): Marker | undefined => {
    const comment = text.slice(from, to).trimEnd();
    if (!liquibase && !IN_MARKERS.test(comment)) return undefined;
    const isFlush = from === 0 || text[from - 1] === '\n' || text[from - 1] === '\r';
    const found = signOf(comment, { startsLine: startsLine(from), isFlush, liquibase });
    if (!found) return undefined;
    const { tool, sign } = found;
    const placed = sign.kind === 'revert' ? { ...sign, from: sign.from + from, to: sign.to + from } : sign;
    return { offset: from, end: to, text: comment, tool, sign: placed };
  };
  const look = (from: number, to: number, alone: boolean): void => {
    const found = to - from > LONGEST_MARKER && !liquibase ? undefined : markerAt(from, to);
    if (found) {
      // The words of node-pg-migrate's are those of a comment as well, which a column list or a body may have.
      if (found.tool === 'node-pg-migrate' && (parentheses > 0 || depth > 0)) return;
      if (ENDING.has(found.sign.kind)) finish(end);
      markers.push(found);
      return;
    }
    // A column list or a routine's body may have such comments.
    const lookalike = parentheses > 0 || depth > 0 ? undefined : lookalikeAt(text, from, to, alone);
    if (lookalike) lookalikes.push(lookalike);
  };
  const word = (from: number, to: number): void => {
    const size = to - from;
    // Most words of a big file are not worth a string.
    if (count > 3 && (parentheses > 0 || (words.length >= limit && !isRoutine && !isCopy))) return;
    const lower = text.slice(from, to).toLowerCase();
    if (parentheses === 0 && words.length < limit) words.push(lower);
    if (count < 4) {
      if (count === 0) {
        limit = SHORT.has(lower) ? 2 : WORDS;
        isCopy = lower === 'copy';
        shape = '';
      }
      shape += SHAPING.has(lower) ? lower.charAt(0) : '.';
      isRoutine = ROUTINE.test(shape);
    }
    count++;
    if (parentheses > 0) return;
    if (isCopy && lower === 'stdin' && words.includes('from')) copiesFromStdin = true;
    if (!isRoutine || size > 5) return;
    if (lower === 'begin') depth++;
    else if (lower === 'case' && depth > 0) depth++;
    else if (lower === 'end' && depth > 0) depth--;
  };

  let at = 0;
  while (at < length) {
    const code = text.charCodeAt(at);
    const kind = code < 128 ? classes[code] : LETTER;
    if (kind === SPACE) {
      at++;
      continue;
    }
    if (code === 45 /* - */ && text.charCodeAt(at + 1) === 45) {
      const next = lineEnd(at);
      const alone = startsLine(at);
      const note = alone ? match(NOTE, at) : undefined;
      if (note !== undefined) notes.push({ offset: at, end: next, text: note.slice(2).trim() });
      look(at, next, alone);
      at = next;
      continue;
    }
    if (code === 47 /* / */ && text.charCodeAt(at + 1) === 42) {
      const close = commentEnd(text, at);
      if (close >= 0) look(at, close, startsLine(at) && endsLine(close));
      at = close < 0 ? unterminated('comment', at) : close;
      continue;
    }
    if (code === 92 /* \ */) {
      const next = lineEnd(at);
      problems.push({ kind: 'meta-command', offset: at, end: next });
      at = next;
      continue;
    }
    if (code === 59 /* ; */ && parentheses === 0 && depth === 0) {
      const dataFollows = copiesFromStdin;
      at++;
      finish(at);
      if (dataFollows) at = copyDataEnd(text, at);
      continue;
    }

    if (start < 0) start = at;
    if (kind === LETTER) {
      const next = wordEnd(text, at);
      const escapes = next === at + 1 && (code | 32) === 101 /* e */ && text.charCodeAt(next) === 39;
      if (escapes) {
        const close = escapeStringEnd(text, at + 2);
        at = close < 0 ? unterminated('quote', at + 1) : close;
      } else {
        word(at, next);
        at = next;
      }
    } else if (kind === DIGIT) {
      at += match(NUMBER, at)?.length ?? 1;
    } else if (code === 39 /* ' */ || code === 34 /* " */) {
      const quote = code === 39 ? "'" : '"';
      let close = text.indexOf(quote, at + 1);
      while (close >= 0 && text.charCodeAt(close + 1) === code) close = text.indexOf(quote, close + 2);
      at = close < 0 ? unterminated(code === 39 ? 'quote' : 'identifier', at) : close + 1;
    } else if (code === 36 /* $ */) {
      const tag = match(DOLLAR_TAG, at);
      const close = tag === undefined ? at : text.indexOf(tag, at + tag.length);
      at = close < 0 ? unterminated('dollar-quote', at) : close + (tag?.length ?? 1);
    } else {
      if (code === 40 /* ( */ && parentheses++ === 0) firstParenthesis = at;
      else if (code === 41 /* ) */ && parentheses > 0) parentheses--;
      else if (code === 0) problems.push({ kind: 'nul', offset: at, end: at + 1 });
      at++;
    }
    end = at;
  }
  finish(end);
  // The NULs within quotes and comments.
  const nul = text.indexOf('\0');
  if (nul >= 0 && !problems.some((problem) => problem.kind === 'nul')) {
    problems.push({ kind: 'nul', offset: nul, end: nul + 1 });
  }
  return { statements, problems, markers, notes, lookalikes };
}

function share(words: string[]): string[] {
  const key = words.join(' ');
  const known = shared.get(key);
  if (known) return known;
  if (shared.size < MOST_SHARED) shared.set(key, words);
  return words;
}

function wordEnd(text: string, at: number): number {
  WORD.lastIndex = at;
  WORD.test(text);
  return WORD.lastIndex;
}
