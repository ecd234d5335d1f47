import type { SqlScript } from '../migration.ts';
import { eachNode, opened, textsOf } from '../sql/effects/tree.ts';
import { callsOf } from '../sql/effects/volatile-calls.ts';
import type { Node } from '../sql/nature.ts';
import { parseScript } from '../sql/parse.ts';

/** What a migration does that no rollback takes back: a rehearsal must not run it. */
export interface Lasting {
  /** What it is; absent: nothing that shows in its text. */
  what?: string;
  /** Functions and views that it makes, which do such a thing when they are used later. */
  makes: ReadonlySet<string>;
  /** Whether it may run what the database has of functions and triggers; what only changes the schema doesn't. */
  runsOthers: boolean;
}

/** What runs no code of the database's but what it names. */
const SCHEMA_ONLY = new Set(
  `AlterTableStmt CreateStmt IndexStmt DropStmt RenameStmt CommentStmt CreateEnumStmt AlterEnumStmt ViewStmt CreateFunctionStmt
  CreateTrigStmt GrantStmt VariableSetStmt CreateSchemaStmt CreateSeqStmt AlterSeqStmt AlterObjectSchemaStmt AlterOwnerStmt
  CreatePolicyStmt AlterPolicyStmt CreateDomainStmt CompositeTypeStmt CreateStatsStmt RuleStmt LockStmt TransactionStmt`.split(
    /\s+/,
  ),
);

const NAMES = String.raw`setval|dblink\w*|lo_export|pg_file_\w+|pg_background_\w+|pg_reload_conf|pg_rotate_logfile|pg_switch_wal|pg_promote|pg_create_restore_point|pg_(?:terminate|cancel)_backend|pg_(?:create|drop|copy)_\w*replication_slot|pg_replication_slot_advance|pg_stat_(?:statements_)?reset\w*|http_(?:get|post|put|patch|delete|head)`;
const CALLS = new RegExp(`^(?:${NAMES})$`, 'i');
/** In a body, in whatever language; for a regular expression of PostgreSQL, too. */
const BODY = String.raw`\m(?:${NAMES}|to\s+program|from\s+program)\M`;
const IN_BODY = new RegExp(
  BODY.replace(String.raw`\m`, String.raw`\b`).replace(String.raw`\M`, String.raw`\b`),
  'i',
);

const known = new WeakMap<SqlScript, Promise<Lasting>>();

/** Reads what a script does that doesn't roll back. Each script is read once. */
export function lastingOf(script: SqlScript): Promise<Lasting> {
  const read = known.get(script) ?? readScript(script);
  known.set(script, read);
  return read;
}

async function readScript(script: SqlScript): Promise<Lasting> {
  const makes = new Set<string>();
  let what: string | undefined;
  let runsOthers = false;
  await parseScript(script, ({ start, end, node }) => {
    const text = script.sql.slice(start, end);
    const found = node ? inTree(node, text) : lastingWord(text);
    const kind = node && opened(node)[0];
    runsOthers ||= !kind || !SCHEMA_ONLY.has(kind) || callsOf(node).unknown.length > 0;
    const made = node && found !== undefined ? madeBy(node) : undefined;
    if (made !== undefined) makes.add(made);
    else what ??= found ?? mentioned(text, makes);
  });
  return { ...(what !== undefined && { what }), makes, runsOthers };
}

function inTree(statement: Node, text: string): string | undefined {
  const [kind, node] = opened(statement);
  if (kind === 'CopyStmt') {
    if (node['is_program']) return 'COPY with a program';
    if (node['filename'] !== undefined && !node['is_from']) return 'COPY to a file';
  }
  if (kind === 'DoStmt' || kind === 'CreateFunctionStmt') return lastingWord(text);
  let call: string | undefined;
  eachNode(statement, (each, fields) => {
    if (each !== 'FuncCall') return;
    const name = textsOf(fields['funcname']).at(-1) ?? '';
    if (CALLS.test(name)) call ??= name;
  });
  return call;
}

/** A word for such a thing in a text, in whatever language. */
export function lastingWord(text: string): string | undefined {
  return IN_BODY.exec(text)?.[0].toLowerCase();
}

/** What does nothing before it is used. */
function madeBy(statement: Node): string | undefined {
  const [kind, node] = opened(statement);
  if (kind === 'CreateFunctionStmt') return textsOf(node['funcname']).at(-1)?.toLowerCase();
  if (kind !== 'ViewStmt') return undefined;
  return String((node['view'] as { relname: string }).relname).toLowerCase();
}

/** The first of the names that stands in a text as a word. */
export function mentioned(text: string, names: ReadonlySet<string>): string | undefined {
  return [...names].find((name) => {
    const escaped = name.replaceAll(/[\\^$.*+?()[\]{}|/]/g, String.raw`\$&`);
    return new RegExp(`(?<![\\p{L}\\p{N}_$])${escaped}(?![\\p{L}\\p{N}_$])`, 'iu').test(text);
  });
}

/**
 * The functions of the connected database whose bodies do what doesn't roll back, and the tables whose triggers call them:
 * a query with the one column `names`.
 */
export const LASTING_NAMES = `with f as (select p.oid, p.proname from pg_proc p join pg_language l on l.oid = p.prolang
  where p.oid >= 16384 and l.lanname not in ('c', 'internal') and p.prosrc ~* '${BODY}')
select coalesce(json_agg(lower(n.name)), '[]') as names from (select proname from f
  union select c.relname from pg_trigger t join f on f.oid = t.tgfoid join pg_class c on c.oid = t.tgrelid) n (name)`;
