-- migrate:up
-- Energy at noon comes from the panels and costs less than energy at night from the battery.
create table tariff_time_windows (
  tariff_id integer not null references tariffs on delete cascade,
  starts_at time not null,
  ends_at time not null,
  factor numeric(4, 2) not null check (factor > 0 and factor <= 5),
  primary key (tariff_id, starts_at),
  check (starts_at < ends_at)
);

create function energy_price(tariff integer, at timestamptz, zone text) returns numeric
language sql stable strict
return (
  select tariff_price_on(tariff, (at at time zone zone)::date) * coalesce(
    (
      select factor
      from tariff_time_windows
      where tariff_id = tariff
        and (at at time zone zone)::time >= starts_at
        and (at at time zone zone)::time < ends_at
      limit 1
    ),
    1
  )
);

-- migrate:down
drop function energy_price(integer, timestamptz, text);
drop table tariff_time_windows;
