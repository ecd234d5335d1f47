import { createHash } from 'node:crypto';
import { MpmError } from '../errors.ts';
import { excerptAt, offsetOfPosition } from './excerpt.ts';
import type { SqlScript } from './migration.ts';

/** One statement of a script that runs outside a transaction. */
export interface Step {
  text: string;
  /** Where it begins in the script's `sql`, in UTF-16 units. */
  start: number;
  /** SHA-256 in hex of the text: a resumed attempt compares what was done before (engine 10). */
  hash: string;
  /** Cannot run in a transaction block, not even with the record of its progress. */
  alone: boolean;
  /** The index that CREATE INDEX CONCURRENTLY builds, or REINDEX CONCURRENTLY rebuilds. */
  concurrentIndex?: { schema: string | undefined; table: string; index: string | undefined } | undefined;
}

interface RawStatement {
  stmt: Record<string, Record<string, unknown>>;
  stmt_location?: number;
  stmt_len?: number;
}

/**
 * Splits a script with PostgreSQL's own parser, whose offsets are bytes of UTF-8. Loaded only when it is needed.
 * Throws MIGRATION_INVALID at the place of a syntax error.
 */
export async function split(script: SqlScript): Promise<Step[]> {
  const { parse } = await import('libpg-query');
  const bytes = Buffer.from(script.sql);
  let statements: RawStatement[];
  try {
    statements = ((await parse(script.sql)) as unknown as { stmts?: RawStatement[] }).stmts ?? [];
  } catch (error) {
    throw syntaxError(script, error);
  }
  let offset = 0;
  let done = 0;
  return statements.map((statement) => {
    const from = statement.stmt_location ?? 0;
    const to = statement.stmt_len ? from + statement.stmt_len : bytes.length;
    offset += bytes.toString('utf8', done, from).length;
    const raw = bytes.toString('utf8', from, to);
    const text = raw.trim();
    const start = offset + raw.indexOf(text);
    offset += raw.length;
    done = to;
    const hash = createHash('sha256').update(text).digest('hex');
    return { text, start, hash, ...natureOf(statement) };
  });
}

function syntaxError(script: SqlScript, error: unknown): MpmError {
  const details = (error as { sqlDetails?: { message?: string; cursorPosition?: number } }).sqlDetails;
  const message = details?.message ?? (error instanceof Error ? error.message : String(error));
  const position = (details?.cursorPosition ?? 0) + 1;
  const offset = script.start + offsetOfPosition(script.sql, position);
  return new MpmError('MIGRATION_INVALID', message, {
    subject: script.path,
    excerpt: excerptAt(script.path, script.text, offset),
  });
}

/** What may end or refuse a transaction: sent alone, and its progress is recorded behind it. */
const ALONE =
  /^(?:VacuumStmt|ClusterStmt|RepackStmt|CreatedbStmt|DropdbStmt|CreateTableSpaceStmt|DropTableSpaceStmt|AlterSystemStmt|AlterDatabaseStmt|CallStmt|DoStmt|CreateSubscriptionStmt|DropSubscriptionStmt|AlterSubscriptionStmt|DiscardStmt|TransactionStmt)$/;

function natureOf(statement: RawStatement): Pick<Step, 'alone' | 'concurrentIndex'> {
  const [kind = '', node = {}] = Object.entries(statement.stmt)[0] ?? [];
  const concurrent =
    node['concurrent'] === true || /"concurrent":true|"defname":"concurrently"/.test(JSON.stringify(node));
  const alone = ALONE.test(kind) || kind === 'ReindexStmt' || concurrent;
  if (kind !== 'IndexStmt' || !concurrent) return { alone };
  const relation = node['relation'] as { schemaname?: string; relname: string };
  const index = node['idxname'] as string | undefined;
  return { alone, concurrentIndex: { schema: relation.schemaname, table: relation.relname, index } };
}
