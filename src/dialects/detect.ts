import type { Connection } from '../postgres/connection.ts';
import { literal } from '../postgres/quote.ts';
import { isServerError } from '../postgres/sqlstate.ts';
import { MpmError } from '../errors.ts';
import { readTool, tableOf, TOOL_NAMES, type ToolHistory } from './other-tools.ts';

/**
 * The tool that migrated this database until now, by the table that it keeps; undefined without one.
 * @throws MpmError ADOPTION where a table of that tool is there and can't be taken as it is
 */
export async function detectTool(connection: Connection): Promise<ToolHistory | undefined> {
  const names = [...new Set(TOOL_NAMES.map(tableOf))];
  const rows = await connection.query<{ name: string }>(
    `select distinct c.relname::text as name from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relname in (${names.map(literal).join(', ')}) and c.relkind in ('r', 'p') and n.nspname !~ '^pg_|^information_schema$'`,
  );
  const there = new Set(rows.map(({ name }) => name));
  for (const tool of TOOL_NAMES.filter((name) => there.has(tableOf(name)))) {
    const found = await readTool(connection, tool).catch((error: unknown) => {
      // It has other columns: another tool's, or the product's own.
      if (error instanceof MpmError && isServerError(error.cause)) return undefined;
      throw error;
    });
    if (found) return found;
  }
  return undefined;
}
