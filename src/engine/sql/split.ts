import { createHash } from 'node:crypto';
import type { MpmError } from '../../errors.ts';
import type { SqlScript } from '../migration.ts';
import { IN_TRANSACTION, type Nature, natureByText, natureOf } from './nature.ts';
import { LONGEST, parseScript, startOf } from './parse.ts';
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

/** Splits a script into what is sent one at a time. */
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
  const { sql } = script;
  const steps: Step[] = [];
  await parseScript(script, ({ start, end, node, bare = '', doubt }) => {
    steps.push({
      start,
      end,
      hash: hashOf(sql.slice(start, end)),
      nature: node ? natureOf(node) : natureByText(bare),
      effect: node ? sessionEffectOf(node) : { kind: 'none' },
      ...(doubt && { doubt }),
    });
  });
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
