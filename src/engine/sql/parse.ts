import { MpmError } from '../../errors.ts';
import type { SqlScript } from '../migration.ts';
import { excerptAt, offsetOfPosition } from './locate.ts';
import type { Node } from './nature.ts';
import { scan } from './scan.ts';

/** A statement that the parser was asked about. Offsets are UTF-16 units of the script's `sql`. */
export interface Parsed {
  start: number;
  end: number;
  /** Absent: it is too long for the parser, or refused. */
  node?: Node;
  /** Its text without what stands around it, where there is no node. */
  bare?: string;
  /** Why our parser refuses it: whether it is a statement is for the server to say (engine 62). */
  doubt?: MpmError;
}

interface RawStatement {
  stmt: Node;
  /** In bytes of UTF-8. */
  stmt_location?: number;
  stmt_len?: number;
}

/** The parser takes forty times a statement's size in memory, which it never gives back: longer ones (characters) it is not asked. */
export const LONGEST = 256 * 1024;

/**
 * Goes through a script's statements: our scanner proposes where one ends, PostgreSQL's own parser confirms it, one at a
 * time (engine 45). The parser is loaded only when it is needed. A tree is kept by nobody but the visitor.
 */
export async function parseScript(script: SqlScript, visit: (statement: Parsed) => void): Promise<void> {
  const { loadModule, parseSync } = await import('libpg-query');
  await loadModule();
  const { sql } = script;
  const unparsed = (start: number, text: string, bare: string, doubt?: MpmError) =>
    visit({ start, end: start + text.length, bare, ...(doubt && { doubt }) });
  let behind = 0;
  // What the parser called unfinished, and goes on in the next piece: a BEGIN ATOMIC that the scanner did not see.
  let unfinished: { start: number; error: unknown } | undefined;
  scan(sql, ({ start: first, end: last, next }) => {
    const start = unfinished?.start ?? startOf(sql, behind);
    const end = next > last ? next - 1 : sql.length;
    behind = next;
    const text = sql.slice(start, end).trimEnd();
    if (text.length > LONGEST) {
      return unparsed(start, text, sql.slice(first, last));
    }
    try {
      const { stmts = [] } = parseSync(text) as unknown as { stmts?: RawStatement[] };
      for (const { at, length, node } of placesOf(text, stmts)) {
        visit({ start: start + at, end: start + at + length, node });
      }
      unfinished = undefined;
    } catch (error) {
      if (next !== last && /at end of input/.test(String(error))) {
        unfinished = { start, error };
        return;
      }
      unparsed(start, text, sql.slice(first, last), syntaxError(script, start, text, error));
      unfinished = undefined;
    }
  });
  if (unfinished) {
    const text = sql.slice(unfinished.start).trimEnd();
    unparsed(unfinished.start, text, text, syntaxError(script, unfinished.start, text, unfinished.error));
  }
}

/** Where the statement behind `at` begins, with the comments in front of it. */
export function startOf(sql: string, at: number): number {
  const space = /[\s;]*/y;
  space.lastIndex = at;
  space.test(sql);
  return space.lastIndex;
}

/** Each statement of a piece, in UTF-16 units of it and without the space around it: mostly there is one. */
function placesOf(
  text: string,
  statements: readonly RawStatement[],
): { at: number; length: number; node: Node }[] {
  const [only, second] = statements;
  if (only && !second) return [{ at: 0, length: text.length, node: only.stmt }];
  const bytes = Buffer.from(text);
  return statements.map(({ stmt, stmt_location: from = 0, stmt_len: length }) => {
    const raw = bytes.toString('utf8', from, length ? from + length : bytes.length);
    const at = bytes.toString('utf8', 0, from).length + raw.length - raw.trimStart().length;
    return { at, length: raw.trim().length, node: stmt };
  });
}

function syntaxError(script: SqlScript, start: number, text: string, error: unknown): MpmError {
  const details = (error as { sqlDetails?: { message?: string; cursorPosition?: number } }).sqlDetails;
  const message = details?.message ?? (error instanceof Error ? error.message : String(error));
  const offset = script.start + start + offsetOfPosition(text, (details?.cursorPosition ?? 0) + 1);
  return new MpmError('MIGRATION_INVALID', message, {
    subject: script.path,
    excerpt: excerptAt(script.path, script.text, offset),
  });
}
