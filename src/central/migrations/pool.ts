/** Finished databases that wait for a tenant. */
export const POOL = `create table mpm_migrate.pool (
  id bigint generated always as identity primary key,
  server text not null,
  -- Unguessable, so what is called so is ours.
  database_name text not null unique,
  -- Known once it is ready.
  database_oid bigint,
  -- What it was made from: files that changed since make it stale, and it is never handed out.
  blueprint text not null,
  -- What is not ready belongs to one who is at work on it under the pool's lock, or to one who died.
  state text not null default 'making' check (state in ('making', 'ready', 'dropping')),
  created_at timestamptz not null default now(),
  check (state <> 'ready' or database_oid is not null)
);
create index pool_ready on mpm_migrate.pool (server, blueprint, id) where state = 'ready';
`;
