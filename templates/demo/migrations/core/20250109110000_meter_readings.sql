-- migrate:up
create table meter_readings (
  meter_id bigint not null references meters on delete cascade,
  read_at timestamptz not null,
  total_kwh numeric(12, 3) not null check (total_kwh >= 0),
  voltage numeric(5, 1) check (voltage between 0 and 500),
  primary key (meter_id, read_at)
);

-- Readings arrive in order of time and are asked for by time: a BRIN index costs next to nothing here.
create index meter_readings_read_at on meter_readings using brin (read_at);

-- migrate:down
drop table meter_readings;
