import type { Connection } from '../postgres/connection.ts';
import { TOOLS, whoseTable } from './other-tools.ts';
import { findTables, readFound, type ToolHistory } from './read-tool.ts';
import { TOOL_NAMES } from './tool-names.ts';

/**
 * The tool that migrated this database until now, by the table that it keeps; undefined without one. Of a table that two
 * tools make, the first; of more than one tool, the one whose table is in its usual schema.
 * @throws MpmError ADOPTION where a table of that tool is there and can't be taken as it is
 */
export async function detectTool(connection: Connection): Promise<ToolHistory | undefined> {
  const names = new Set(TOOL_NAMES.flatMap((name) => TOOLS[name].tables));
  const all = (await findTables(connection, [...names])).flatMap((found) =>
    whoseTable(found).map((tool) => ({ tool, found, usual: TOOLS[tool].schema ?? 'public' })),
  );
  const chosen = all.find(({ found, usual }) => found.schema === usual) ?? all[0];
  return chosen && readFound(connection, chosen.tool, chosen.found);
}
