-- migrate:up
-- Every company has a database of its own: no table needs a column that says whose row it is.
create table customers (
  id bigint generated always as identity primary key,
  name text not null,
  phone text,
  created_at timestamptz not null default now()
);

-- migrate:down
drop table customers;
