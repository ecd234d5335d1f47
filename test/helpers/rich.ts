/** A schema with each kind of object that is compared. */
export const RICH = {
  'core/1_base.sql': `-- migrate:up
create schema audit;
create type kind as enum ('water', 'power');
create domain share as numeric(5, 2) constraint share_range check (value between 0 and 100);
create type place as (street text, number int);
create table sites (id bigint generated always as identity primary key, name varchar(80) not null unique, at place, gone int, label varchar(80));
create table meters (
  id serial primary key,
  site bigint not null references sites (id) on delete cascade,
  kind kind not null default 'power',
  code text,
  big bigint,
  low numeric(10, 2) default 0.00,
  since timestamptz default '2020-01-01 00:00:00+00',
  state varchar(9) check (state in ('on', 'off')),
  total int generated always as (id * 2) stored,
  note text
);
create index meters_code on meters (lower(code)) where code is not null;
create index meters_since on meters (since desc);
create unlogged table cache (k text primary key, v jsonb);
create table audit.log (at timestamptz not null default now(), what text) partition by range (at);
create table audit.log_2024 partition of audit.log for values from ('2024-01-01') to ('2025-01-01');
create function touch() returns trigger language plpgsql as $$ begin new.note = coalesce(new.note, 'x'); return new; end $$;
create trigger meters_touch before update on meters for each row execute function touch();
create view busy as select m.id, s.name from meters m join sites s on s.id = m.site where m.state = 'on';
create view busier as select id from busy where name like 'a%';
create materialized view totals as select kind, count(*) as n from meters group by 1;
create unique index totals_kind on totals (kind);
create function plus(a int, b int default 1) returns int language sql immutable as 'select a + b';
create procedure tidy() language sql as 'delete from cache';
create aggregate joined(text) (sfunc = textcat, stype = text, initcond = '');
create sequence numbers increment 5 start 100;
alter table sites enable row level security;
create policy own on sites for select to public using (name = current_user);
create rule no_delete as on delete to cache do instead nothing;
grant select on busy to pg_read_all_data;
grant select (id, code) on meters to pg_monitor;
grant select on sites to pg_monitor with grant option;
revoke execute on function plus(int, int) from public;
alter default privileges in schema audit grant select on tables to pg_monitor;
comment on table meters is 'what counts';
`,
  'core/2_later.sql': `-- migrate:up
alter table sites drop column gone;
alter table sites add column zone text collate "C";
alter table meters rename column low to lowest;
alter table meters rename to counters;
alter table counters rename to meters;
`,
};
