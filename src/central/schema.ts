import type { ColumnType, Generated } from 'kysely';

/** bigint: arrives as text, is given as a number or as text. */
type Big = ColumnType<string, string | number, string | number>;
type Time = ColumnType<Date, Date | string, Date | string>;
type Json<T> = ColumnType<T, string, string>;

/** The built-in registry (schema public). Of an adopted table these are the columns that we know. */
export interface CompaniesTable {
  /** As text; the column's type is the one it was adopted with. */
  id: Generated<string>;
  name: string;
  created_at: Generated<Time>;
  updated_at: Generated<Time>;
}

export interface CompanyDatabasesTable {
  id: Generated<string>;
  company_id: string;
  database_name: string;
  server: Generated<string>;
  status: Generated<'active' | 'provisioning' | 'failed' | 'hold'>;
  reason: string | null;
  labels: Generated<Json<Record<string, string>>>;
  /** While it is being created: the step that comes next, or is in work. */
  provision_step: string | null;
  /** While it is being created: the name under which the database is made, before it gets its own. */
  building_as: string | null;
  /** While it is being created: pg_database.oid of the database that we made, whatever its name. */
  database_oid: Big | null;
  created_at: Generated<Time>;
  updated_at: Generated<Time>;
}

export interface DatabaseProxiesTable {
  id: Generated<string>;
  email: string;
  fk_company_id: string;
  fk_company_database_id: string | null;
}

export interface PluginsTable {
  id: Generated<string>;
  name: string;
  title: string | null;
  created_at: Generated<Time>;
}

export interface CompanyPluginsTable {
  company_id: string;
  plugin_id: string;
  installed_at: Generated<Time>;
}

/** The ledger (schema mpm_migrate, fleet 8). */
export interface RunsTable {
  number: Generated<Big>;
  verb: string;
  selection: string;
  filter: Json<unknown>;
  tool_version: string;
  actor: string | null;
  database_user: Generated<string>;
  host: string;
  pid: number;
  pid_space: string;
  started_at: Generated<Time>;
  seen_at: Generated<Time>;
  finished_at: Time | null;
  outcome: Generated<'running' | 'done' | 'failed' | 'interrupted' | 'error'>;
  total: number | null;
  counts: Generated<Json<Record<string, number>>>;
  error: Json<unknown> | null;
}

export interface RunTenantsTable {
  run: Big;
  tenant_id: string;
  name: string;
  database: string;
  server: string;
  outcome: string;
  from_migration: string | null;
  to_migration: string | null;
  applied: Generated<Json<unknown>>;
  duration_ms: number;
  attempts: number;
  reason: string | null;
  error_code: string | null;
  error_message: string | null;
  error: Json<unknown> | null;
  recorded_at: Generated<Time>;
}

export interface CentralDatabase {
  companies: CompaniesTable;
  company_databases: CompanyDatabasesTable;
  database_proxies: DatabaseProxiesTable;
  plugins: PluginsTable;
  company_plugins: CompanyPluginsTable;
  'mpm_migrate.runs': RunsTable;
  'mpm_migrate.run_tenants': RunTenantsTable;
}
