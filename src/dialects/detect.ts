import type { Connection } from '../postgres/connection.ts';
import { TOOLS } from './other-tools.ts';
import { findToolTables, readFound, type ToolHistory } from './read-tool.ts';

/**
 * The tool that migrated this database until now, by the table that it keeps; undefined without one. Of a table that two
 * tools make, the first; of more than one tool, the one whose table is in its usual schema.
 * @throws MpmError ADOPTION where a table of that tool is there and can't be taken as it is
 */
export async function detectTool(connection: Connection): Promise<ToolHistory | undefined> {
  const all = await findToolTables(connection);
  const chosen = all.find(({ tool, table }) => table.schema === (TOOLS[tool].schema ?? 'public')) ?? all[0];
  return chosen && readFound(connection, chosen.tool, chosen.table);
}
