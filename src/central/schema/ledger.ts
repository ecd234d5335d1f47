import type { BuiltIn } from './built-in.ts';

const runs = `create schema if not exists mpm_migrate;

-- One execution of a verb over a selection of tenants (fleet 8).
create table mpm_migrate.runs (
  number bigint generated always as identity primary key,
  verb text not null,
  selection text not null,
  -- The selection with names resolved to ids: what "up --failed" starts from.
  filter jsonb not null default '{}',
  tool_version text not null,
  actor text,
  database_user text not null default session_user,
  host text not null,
  pid integer not null,
  pid_space text not null,
  started_at timestamptz not null default clock_timestamp(),
  -- The process is alive as long as this moves.
  seen_at timestamptz not null default clock_timestamp(),
  finished_at timestamptz,
  outcome text not null default 'running'
    check (outcome in ('running', 'done', 'failed', 'interrupted', 'error')),
  total integer,
  counts jsonb not null default '{}',
  error jsonb,
  check ((outcome = 'running') = (finished_at is null))
);
create index runs_running on mpm_migrate.runs (number) where outcome = 'running';
create index runs_verb on mpm_migrate.runs (verb, number desc);

create table mpm_migrate.run_tenants (
  run bigint not null references mpm_migrate.runs (number) on delete cascade,
  tenant_id text not null,
  name text not null,
  database text not null,
  server text not null,
  outcome text not null,
  from_migration text,
  to_migration text,
  applied jsonb not null default '[]',
  duration_ms double precision not null,
  attempts integer not null,
  reason text,
  error_code text,
  error_message text,
  error jsonb,
  recorded_at timestamptz not null default clock_timestamp(),
  primary key (run, tenant_id)
);
create index run_tenants_outcome on mpm_migrate.run_tenants (run, outcome);
create index run_tenants_tenant on mpm_migrate.run_tenants (tenant_id, run desc);
`;

const parts = `-- Runs of several machines are one run when they are given the same key (fleet 12).
alter table mpm_migrate.runs add column run_key text;
create unique index runs_key on mpm_migrate.runs (verb, run_key) where run_key is not null;

create table mpm_migrate.run_parts (
  run bigint not null references mpm_migrate.runs (number) on delete cascade,
  -- Which slice, of how many.
  part integer not null,
  parts integer not null,
  host text not null,
  pid integer not null,
  pid_space text not null,
  seen_at timestamptz not null default clock_timestamp(),
  outcome text not null default 'running'
    check (outcome in ('running', 'done', 'failed', 'interrupted', 'error')),
  total integer not null,
  counts jsonb not null default '{}',
  error jsonb,
  primary key (run, part)
);
`;

const lighter = `-- A big fleet's rows are written while it waits: they are looked up by their run alone, and their run is there
-- already. What a foreign key would check for each of them is left to do for runs that somebody deletes.
drop index mpm_migrate.run_tenants_outcome;
drop index mpm_migrate.run_tenants_tenant;
alter table mpm_migrate.run_tenants drop constraint run_tenants_run_fkey;

create function mpm_migrate.forget_run_tenants() returns trigger language plpgsql as $$
begin
  delete from mpm_migrate.run_tenants where run in (select number from gone);
  return null;
end
$$;
create trigger forget_run_tenants after delete on mpm_migrate.runs
  referencing old table as gone for each statement execute function mpm_migrate.forget_run_tenants();
`;

const tools = `-- Other tools' histories that were taken over: whether one has gone on since is seen by what it said then.
create table mpm_migrate.tool_histories (
  tenant_id text primary key,
  tool text not null,
  schema_name text not null,
  table_name text not null,
  -- How many migrations it had applied.
  applied integer not null,
  digest text not null,
  read_at timestamptz not null default clock_timestamp()
);
`;

const released = `-- Migrations of the contract phase that the whole fleet was given: from then on they are as any other.
create table mpm_migrate.released (
  name text primary key,
  run bigint,
  released_at timestamptz not null default clock_timestamp()
);
`;

/** The ledger's schema, in order; always there. */
export const LEDGER: readonly BuiltIn[] = [
  { name: '0001_runs', sql: runs },
  { name: '0002_run_parts', sql: parts },
  { name: '0003_lighter', sql: lighter },
  { name: '0004_tool_histories', sql: tools },
  { name: '0005_released', sql: released },
];

/** Kept apart from `mpm_migrate.history`, which is the product's own central migrations'. */
export const LEDGER_HISTORY = { schema: 'mpm_migrate', table: 'ledger_history' };
