const RESERVED_SCHEMA = /^(?:pg_.*|information_schema)$/;
/** Tables of the ledger, which in the central database stand beside the history. */
const LEDGER = { schema: 'mpm_migrate', tables: ['runs', 'run_tenants', 'run_parts', 'pool'] };

/** Why the history cannot have a schema or table of this name; undefined when it can. */
export function historyNameProblem(value: unknown, part: 'schema' | 'table'): string | undefined {
  if (typeof value !== 'string' || value === '') return 'must be a name';
  // Room for the names of what belongs to the table, within PostgreSQL's 63 bytes.
  if (value.includes('\0') || Buffer.byteLength(value) > 50) return 'must be a name of at most 50 bytes';
  if (value.includes('.')) return `must be the ${part}'s name alone; schema and table are two keys`;
  if (part === 'schema' && RESERVED_SCHEMA.test(value)) return 'is reserved by PostgreSQL';
  return undefined;
}

/** Why schema and table do not go together. */
export function historyPairProblem({ schema, table }: { schema: string; table: string }): string | undefined {
  return schema === LEDGER.schema && LEDGER.tables.includes(table)
    ? `history: ${schema}.${table} is a table of the ledger`
    : undefined;
}
