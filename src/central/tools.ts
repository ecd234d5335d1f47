import type { Listing } from './list/listing.ts';

/** Another tool's history in a tenant's database, as `baseline --from` left it (histories 11). */
export interface KnownTool {
  tool: string;
  schema: string;
  table: string;
  /** How many migrations it had applied. */
  applied: number;
  /** Of what its table said. */
  digest: string;
  /** When that was read: ISO 8601, UTC. */
  since: string;
}

type Ledger = Pick<Listing, 'connection'>;

/** By the tenants' ids. */
export async function readTools({ connection }: Ledger): Promise<Map<string, KnownTool>> {
  const rows = await connection.query<KnownTool & { id: string }>(
    `select tenant_id as id, tool, schema_name as schema, table_name as table, applied, digest,
  to_char(read_at at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"') as since from mpm_migrate.tool_histories`,
  );
  return new Map(rows.map(({ id, ...known }) => [id, known]));
}

/** Writes down what a tool's table says of a tenant now; the time stays while that is the same. */
export async function rememberTool(
  { connection }: Ledger,
  id: string,
  { tool, schema, table, applied, digest }: Omit<KnownTool, 'since'>,
): Promise<void> {
  await connection.prepared(
    `insert into mpm_migrate.tool_histories as t (tenant_id, tool, schema_name, table_name, applied, digest)
values ($1, $2, $3, $4, $5, $6)
on conflict (tenant_id) do update set tool = excluded.tool, schema_name = excluded.schema_name, table_name = excluded.table_name,
  applied = excluded.applied, digest = excluded.digest, read_at = excluded.read_at
where (t.tool, t.schema_name, t.table_name, t.digest) <> (excluded.tool, excluded.schema_name, excluded.table_name, excluded.digest)`,
    [id, tool, schema, table, applied, digest],
  );
}

/** A copy of a tenant's database has the tool's table as well. */
export async function copyTool({ connection }: Ledger, from: string, to: string): Promise<void> {
  await connection.prepared(
    `insert into mpm_migrate.tool_histories (tenant_id, tool, schema_name, table_name, applied, digest, read_at)
select $2, tool, schema_name, table_name, applied, digest, read_at from mpm_migrate.tool_histories where tenant_id = $1
on conflict (tenant_id) do nothing`,
    [from, to],
  );
}
