import { readFileSync } from 'node:fs';
import type { SourceExcerpt } from '../../errors.ts';
import type { ModuleScript, SqlScript } from '../migration.ts';
import { scan } from './scan.ts';

/** What is known about where SQL failed. */
export interface FailurePoint {
  /** The message that was sent, and where the script begins in it (UTF-16 units). */
  message: string;
  prefix: number;
  /** The server's `position` (code points from 1), where it gave one. */
  position?: string | undefined;
  /** The server's `where`: the PL/pgSQL frames, innermost first. */
  where?: string | undefined;
  /** How many statements of the script were completed. */
  completed: number;
}

/** The place in the file where the script failed; undefined when it failed outside the script, at COMMIT for instance. */
export function locate(script: SqlScript, point: FailurePoint): SourceExcerpt | undefined {
  const at = (offset: number) => excerptAt(script.path, script.text, script.start + offset);
  if (point.position !== undefined) {
    const offset = offsetOfPosition(point.message, Number(point.position)) - point.prefix;
    return offset >= 0 && offset <= script.sql.length ? at(offset) : undefined;
  }
  const statement = scan(script.sql).statements[point.completed];
  if (!statement) return undefined;
  const inBody = plpgsqlOffset(script.sql, statement, point.where);
  return at(inBody ?? statement.start);
}

/** The line of a module that the error's stack names, if it names one. */
export function locateInModule(script: ModuleScript, error: unknown): SourceExcerpt | undefined {
  const stack = error instanceof Error ? (error.stack ?? '') : '';
  const frame = stack.split('\n').find((line) => line.includes(script.path));
  const [, line, column] = (frame && /:(\d+):(\d+)\)?$/.exec(frame)) || [];
  if (!line || !column) return undefined;
  try {
    const text = readFileSync(script.path, 'utf8');
    const start = text.length - textFrom(text, Number(line)).length;
    return excerptAt(script.path, text, start + Number(column) - 1);
  } catch {
    // The file may be gone by now; the message stands without an excerpt.
    return undefined;
  }
}

const FRAME = /PL\/pgSQL function (?:"?([^\s"(.]+)"?\.)?"?([^\s"(]+)"?(?:\([^)]*\))? line (\d+)/;

/**
 * A PL/pgSQL frame says `line N` of a body. The body is the failing DO block's, or that of a function which the
 * same script defines; line 1 is the one on which the body's quote opens.
 */
function plpgsqlOffset(
  sql: string,
  statement: { start: number; end: number },
  where: string | undefined,
): number | undefined {
  const [, , name, line] = (where && FRAME.exec(where)) || [];
  if (!name || !line) return undefined;
  const body =
    name === 'inline_code_block' ? bodyOf(sql, statement.start, statement.end) : definitionOf(sql, name);
  if (body === undefined) return undefined;
  const rest = sql.slice(body);
  const offset = body + rest.length - textFrom(rest, Number(line)).length;
  const indent = /^[ \t]*/.exec(sql.slice(offset, offset + 200))?.[0].length ?? 0;
  return offset + indent;
}

/** Where the first quoted body between two offsets begins, behind its `$tag$` or `'`. */
function bodyOf(sql: string, start: number, end: number): number | undefined {
  const opening = /\$(?:[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*)?\$|'/.exec(sql.slice(start, end));
  return opening ? start + opening.index + opening[0].length : undefined;
}

function definitionOf(sql: string, name: string): number | undefined {
  const escaped = name.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
  const definition = new RegExp(
    `\\b(?:function|procedure)\\s+(?:[\\w"]+\\.)?"?${escaped}"?\\s*\\(`,
    'i',
  ).exec(sql);
  if (!definition) return undefined;
  const statement = scan(sql).statements.find(
    ({ start, end }) => start <= definition.index && definition.index < end,
  );
  return statement && bodyOf(sql, definition.index, statement.end);
}

/** The place of an offset (UTF-16 units) in a file: line and column from 1, the column in code points, and the lines around. */
export function excerptAt(path: string, text: string, offset: number): SourceExcerpt {
  return excerptsOf(path, text)(offset);
}

/** Two UTF-16 units that are one code point. */
const PAIR = /[\ud800-\udbff][\udc00-\udfff]/g;

/** The same for one offset after the other, which ascend: the text is gone through once. */
export function excerptsOf(path: string, text: string): (offset: number) => SourceExcerpt {
  const breaks = /\r\n|\r|\n/g;
  let next = breaks.exec(text);
  let line = 1;
  let [before, start] = [0, 0];
  let [at, column] = [0, 1];
  return (offset) => {
    for (; next && breaks.lastIndex <= offset; next = breaks.exec(text)) {
      line += 1;
      [before, start] = [start, breaks.lastIndex];
      [at, column] = [start, 1];
    }
    column += text.slice(at, offset).replace(PAIR, '_').length;
    at = offset;
    const first = Math.max(1, line - 1);
    // Only what is shown is split: a dump of many megabytes would otherwise be copied line by line.
    const shown = text.slice(before, before + 100_000).split(/\r\n|\r|\n/, line - first + 2);
    const lines = shown.map((content, index) => ({
      number: first + index,
      text: content.length > 400 ? `${content.slice(0, 400)}…` : content,
      failing: first + index === line,
    }));
    return { file: path, line, column, lines };
  };
}

/** The text from the given line on. */
function textFrom(text: string, line: number): string {
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
