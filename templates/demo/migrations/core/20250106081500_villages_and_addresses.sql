-- migrate:up
create table villages (
  id integer generated always as identity primary key,
  name text not null,
  district text,
  country char(2) not null,
  latitude numeric(9, 6) check (latitude between -90 and 90),
  longitude numeric(9, 6) check (longitude between -180 and 180),
  created_at timestamptz not null default now(),
  unique nulls not distinct (country, district, name)
);

create table addresses (
  id bigint generated always as identity primary key,
  village_id integer not null references villages,
  street text,
  plot text,
  landmark text,
  constraint addresses_say_something check (num_nonnulls(street, plot, landmark) > 0)
);

create index addresses_village on addresses (village_id);

comment on column addresses.landmark is 'How people find it: "behind the mill". Often all there is.';

-- migrate:down
drop table addresses;
drop table villages;
