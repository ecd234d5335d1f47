create materialized view daily_consumption as
select
  meter_id,
  day,
  total_kwh - lag(total_kwh) over (partition by meter_id order by day) as kwh
from (
  select meter_id, (read_at at time zone 'UTC')::date as day, max(total_kwh) as total_kwh
  from meter_readings
  group by 1, 2
) as last_of_day
with data;

-- Refreshing without locking readers out asks for a unique index.
create unique index daily_consumption_key on daily_consumption (meter_id, day);
