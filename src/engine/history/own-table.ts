import { literal } from '../../postgres/quote.ts';
import { type ServerError, SQLSTATE } from '../../postgres/sqlstate.ts';
import { type HistoryTable, tableName } from './history.ts';

/** What the server says of objects that it does not find, that exist, that are needed, or that belong to somebody else. */
const ABOUT_OBJECTS: readonly string[] = [
  SQLSTATE.undefinedTable,
  SQLSTATE.undefinedObject,
  SQLSTATE.undefinedColumn,
  SQLSTATE.duplicateObject,
  SQLSTATE.duplicateTable,
  SQLSTATE.dependentObjects,
  SQLSTATE.insufficientPrivilege,
];

/**
 * What to do about a migration that goes over the whole catalog and came to our table (engine 48).
 * @param text the migration's: what it names itself is its own affair
 * @returns undefined when the error is about something else
 */
export function ownTableHint(
  history: HistoryTable,
  error: ServerError,
  text: string | undefined,
): string | undefined {
  const { schema, table } = history;
  const word = new RegExp(
    String.raw`(?<![\p{L}\d_])${escaped(table)}(?:_pkey|_name_key|_state_check)?(?![\p{L}\d_])`,
    'iu',
  );
  const named = error.schema === schema && error.table === table;
  const told = ABOUT_OBJECTS.includes(error.code) && word.test(error.message);
  if (!named && (!told || text === undefined || word.test(text))) return undefined;
  const plain = /^[a-z_][a-z\d_]*$/;
  const name = plain.test(schema) && plain.test(table) ? `${schema}.${table}` : tableName(history);
  return `${name} is mpm-migrate's own table. Leave it out of what goes over all tables or constraints: "and conrelid <> ${literal(name)}::regclass" with pg_constraint, "and table_schema <> ${literal(schema)}" with information_schema.`;
}

function escaped(name: string): string {
  return name.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
}
