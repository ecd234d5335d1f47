import { createHash } from 'node:crypto';
import { MpmError } from '../../errors.ts';
import { excerptAt, offsetOfPosition } from './locate.ts';
import type { SqlScript } from '../migration.ts';
import { IN_TRANSACTION, type Nature, natureByText, natureOf, type Node } from './nature.ts';
import { plainConcurrent } from './plain-concurrent.ts';
import { scan } from './scan.ts';
import { type SessionEffect, sessionEffectOf } from './session.ts';

/** One statement of a script that runs outside a transaction. Offsets are UTF-16 units of the script's `sql`. */
export interface Step {
  start: number;
  end: number;
  /** The first 64 bits of the text's SHA-256, in hex: a resumed attempt compares what was done before (engine 10). */
  hash: string;
  nature: Nature;
  /** What it leaves in the session. */
  effect: SessionEffect;
  /** Statements between BEGIN and COMMIT, which are one step: they are sent in a transaction of their own. */
  isBlock?: true;
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
const LONGEST = 256 * 1024;

/**
 * Splits a script: our scanner proposes where a statement ends, PostgreSQL's own parser confirms it, one at a time
 * (engine 45). The parser is loaded only when it is needed.
 */
export async function split(script: SqlScript): Promise<Step[]> {
  return lone(script) ?? parsed(script);
}

/** The step of a script that is nothing but a plain CREATE or DROP INDEX CONCURRENTLY. */
function lone({ sql, blocks }: SqlScript): Step[] | undefined {
  if (sql.length > LONGEST) return undefined;
  const { statements, problems } = scan(sql);
  const [only, second] = statements;
  if (!only || second || problems.length > 0 || blocks) return undefined;
  const start = startOf(sql, 0);
  const known = plainConcurrent(
    sql.slice(only.start, only.end),
    Buffer.byteLength(sql.slice(start, only.start)),
  );
  if (!known) return undefined;
  const end = start + sql.slice(start, only.next > only.end ? only.next - 1 : sql.length).trimEnd().length;
  return [{ start, end, hash: hashOf(sql.slice(start, end)), ...known }];
}

async function parsed(script: SqlScript): Promise<Step[]> {
  const { loadModule, parseSync } = await import('libpg-query');
  await loadModule();
  const { sql } = script;
  const steps: Step[] = [];
  const add = (start: number, end: number, rest: Pick<Step, 'nature' | 'effect' | 'doubt'>) => {
    steps.push({ start, end, hash: hashOf(sql.slice(start, end)), ...rest });
  };
  const unparsed = (start: number, text: string, bare: string, doubt?: MpmError) =>
    add(start, start + text.length, {
      nature: natureByText(bare),
      effect: { kind: 'none' },
      ...(doubt && { doubt }),
    });
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
        add(start + at, start + at + length, { nature: natureOf(node), effect: sessionEffectOf(node) });
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
  return script.blocks ? inBlocks(script, steps) : steps;
}

/** The steps of a BEGIN … COMMIT as one. */
function inBlocks({ sql, start: offset, blocks = [] }: SqlScript, steps: readonly Step[]): Step[] {
  const blockOf = ({ end }: Step) =>
    blocks.find(([start, last]) => start < end + offset && end + offset <= last);
  const merged: { step: Step; block: ReturnType<typeof blockOf> }[] = [];
  for (const step of steps) {
    const block = blockOf(step);
    const before = merged.at(-1);
    if (!block) merged.push({ step, block });
    else if (before?.block === block) before.step = spanning(sql, before.step, step);
    else merged.push({ step: spanning(sql, step, step), block });
  }
  return merged.map(({ step }) => step);
}

function spanning(sql: string, first: Step, last: Step): Step {
  const { start } = first;
  const { end } = last;
  const doubt = first.doubt ?? last.doubt;
  const leavesNothing = [first, last].every(({ effect }) => effect.kind === 'none');
  return {
    start,
    end,
    hash: hashOf(sql.slice(start, end)),
    nature: IN_TRANSACTION,
    effect: leavesNothing ? { kind: 'none' } : { kind: 'lost', what: 'what BEGIN … COMMIT left', name: '' },
    isBlock: true,
    ...(doubt && { doubt }),
  };
}

function hashOf(text: string): string {
  return createHash('sha256').update(text).digest().toString('hex', 0, 8);
}

/** Where the statement behind `at` begins, with the comments in front of it. */
function startOf(sql: string, at: number): number {
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
