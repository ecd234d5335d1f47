-- migrate:up
create table solar_home_devices (
  id bigint generated always as identity primary key,
  serial_number text not null unique,
  model text not null,
  panel_watts integer not null check (panel_watts between 5 and 1000),
  battery_wh integer check (battery_wh > 0),
  created_at timestamptz not null default now()
);

create table solar_home_device_rentals (
  id bigint generated always as identity primary key,
  device_id bigint not null references solar_home_devices,
  customer_id bigint not null references customers,
  held_during daterange not null,
  monthly_fee money_amount not null check (monthly_fee >= 0),
  constraint one_customer_at_a_time
    exclude using gist (int8range(device_id, device_id, '[]') with &&, held_during with &&)
);

create index solar_home_device_rentals_customer on solar_home_device_rentals (customer_id);

-- migrate:down
drop table solar_home_device_rentals;
drop table solar_home_devices;
