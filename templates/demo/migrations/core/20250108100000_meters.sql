-- migrate:up
create table meter_types (
  id integer generated always as identity primary key,
  manufacturer text not null,
  model text not null,
  phases smallint not null default 1 check (phases in (1, 3)),
  max_current_amperes integer not null check (max_current_amperes > 0),
  prepaid boolean not null default true,
  unique (manufacturer, model)
);

create table meters (
  id bigint generated always as identity primary key,
  serial_number text not null unique check (serial_number = upper(serial_number)),
  meter_type_id integer not null references meter_types,
  customer_id bigint references customers,
  connection_group_id integer references connection_groups,
  installed_on date,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  constraint meters_installed_for_someone check (installed_on is null or customer_id is not null)
);

create index meters_customer on meters (customer_id);
create index meters_in_stock on meters (meter_type_id) where customer_id is null;

create trigger meters_touch
  before update on meters
  for each row execute function touch_updated_at();

insert into meter_types (manufacturer, model, phases, max_current_amperes) values
  ('SparkMeter', 'SM60R', 1, 60),
  ('CALIN', 'CA168-C', 1, 60),
  ('CALIN', 'CA358-F', 3, 100);

-- migrate:down
drop table meters;
drop table meter_types;
