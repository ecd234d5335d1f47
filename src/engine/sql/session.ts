import { MpmError } from '../../errors.ts';
import type { Connection } from '../../postgres/connection.ts';
import type { SqlScript } from '../migration.ts';
import type { Node } from './nature.ts';

/**
 * What a statement outside a transaction leaves in its session: a setting, which can be made again; something that
 * cannot; the end of some or of all that was left before.
 */
export type SessionEffect =
  | { kind: 'none' | 'setting' | 'forget-all' }
  | { kind: 'lost'; what: string; name: string }
  | { kind: 'forget'; names: readonly string[] };

/** A statement of a script: where its text is, and what it leaves. */
interface SessionStep {
  start: number;
  end: number;
  effect: SessionEffect;
}

const NONE: SessionEffect = { kind: 'none' };
const SETTING: SessionEffect = { kind: 'setting' };

/** What of the parser's tree leaves something in the session (engine 59). */
export function sessionEffectOf(statement: Node): SessionEffect {
  const [kind = '', node = {}] = Object.entries(statement)[0] ?? [];
  switch (kind) {
    case 'VariableSetStmt':
      // Outside a transaction, what holds for one holds for nothing behind the statement.
      return node['is_local'] === true || node['name'] === 'TRANSACTION' ? NONE : SETTING;
    case 'LoadStmt':
      return SETTING;
    case 'SelectStmt':
      return temporary(node) ?? configured(node);
    case 'CreateStmt':
    case 'CreateTableAsStmt':
    case 'ViewStmt':
    case 'CreateSeqStmt':
      return temporary(node) ?? NONE;
    case 'DeclareCursorStmt':
      return lost('the cursor', String(node['portalname']));
    case 'PrepareStmt':
      return lost('the prepared statement', String(node['name']));
    case 'DropStmt':
      return { kind: 'forget', names: droppedBy(node) };
    case 'ClosePortalStmt':
      return ending(node['portalname']);
    case 'DeallocateStmt':
      return ending(node['name']);
    case 'DiscardStmt':
      return node['target'] === 'DISCARD_ALL' ? { kind: 'forget-all' } : NONE;
    case 'DoStmt':
      return changesSession(JSON.stringify(node)) ? lost('what a DO block made of the session', '') : NONE;
    default:
      return NONE;
  }
}

function lost(what: string, name: string): SessionEffect {
  return { kind: 'lost', what: name ? `${what} ${name}` : what, name };
}

function ending(name: unknown): SessionEffect {
  return typeof name === 'string' ? { kind: 'forget', names: [name] } : NONE;
}

interface Relation {
  schemaname?: string;
  relname: string;
  relpersistence: string;
}

function temporary(node: Record<string, unknown>): SessionEffect | undefined {
  const into = (node['into'] ?? node['intoClause']) as { rel?: Relation } | undefined;
  const relation = (node['relation'] ?? node['view'] ?? node['sequence'] ?? into?.rel) as
    Relation | undefined;
  const isTemporary = relation?.relpersistence === 't' || relation?.schemaname === 'pg_temp';
  return relation && isTemporary ? lost('the temporary relation', relation.relname) : undefined;
}

/** `select set_config(…, false)` and nothing else is a SET in other words; beside something else it may have done more. */
function configured(node: Record<string, unknown>): SessionEffect {
  const text = JSON.stringify(node);
  if (!text.includes('"sval":"set_config"')) return NONE;
  const targets = (node['targetList'] ?? []) as { ResTarget: { val: Node } }[];
  const calls = targets.map(({ ResTarget: { val } }) => val['FuncCall']);
  const constant = calls.every(
    (call) => call && (call['args'] as Node[] | undefined)?.every((arg) => 'A_Const' in arg),
  );
  const plain = constant && node['fromClause'] === undefined && node['whereClause'] === undefined;
  return plain ? SETTING : lost('what a query set with set_config', '');
}

function droppedBy(node: Record<string, unknown>): string[] {
  const objects = (node['objects'] ?? []) as { List?: { items: { String?: { sval: string } }[] } }[];
  return objects.flatMap(({ List }) => List?.items.at(-1)?.String?.sval ?? []);
}

/** In whatever language. */
function changesSession(body: string): boolean {
  return /set_config|\bset\s+(?:session|role|search_path)|\btemp(?:orary)?\b|pg_temp/i.test(body);
}

/**
 * Makes the session of a migration again, in which the first statements of a script were run: a new attempt has another one.
 * @param done how many statements were run
 * @throws MpmError PLAN_REFUSED for what cannot be made again; what the server says of a setting
 */
export async function remakeSession(
  connection: Connection,
  {
    name,
    script,
    steps,
    done,
  }: { name: string; script: SqlScript; steps: readonly SessionStep[]; done: number },
): Promise<void> {
  let left: { effect: SessionEffect; number: number; text: string }[] = [];
  for (const [index, { start, end, effect }] of steps.slice(0, done).entries()) {
    if (effect.kind === 'forget-all') left = [];
    if (effect.kind === 'forget') left = left.filter((each) => !endedBy(each.effect, effect.names));
    if (effect.kind !== 'setting' && effect.kind !== 'lost') continue;
    left.push({ effect, number: index + 1, text: script.sql.slice(start, end) });
  }
  for (const { effect, number, text } of left) {
    if (effect.kind === 'lost') throw gone(name, effect.what, number);
    await connection.run([text]);
  }
}

function endedBy(effect: SessionEffect, names: readonly string[]): boolean {
  return effect.kind === 'lost' && names.includes(effect.name);
}

function gone(name: string, what: string, number: number): MpmError {
  return new MpmError(
    'PLAN_REFUSED',
    `${name} cannot be resumed: ${what}, of its statement ${number}, went with the session that it had`,
    {
      migration: name,
      aftermath: 'nothing was changed here',
      hint: `Finish it by hand, and then: mpm-migrate resolve ${name} --tenant {tenant} --applied
Or revert what it did, and then: mpm-migrate resolve ${name} --tenant {tenant} --rolled-back`,
    },
  );
}
