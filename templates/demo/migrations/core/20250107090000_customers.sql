-- migrate:up
create type customer_kind as enum ('household', 'business', 'public');

create table customers (
  id bigint generated always as identity primary key,
  kind customer_kind not null default 'household',
  given_name text,
  family_name text not null,
  display_name text generated always as (
    case when given_name is null then family_name else given_name || ' ' || family_name end
  ) stored,
  phone phone_number,
  address_id bigint references addresses on delete set null,
  joined_on date not null default current_date,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  deleted_at timestamptz
);

-- A number belongs to one living customer; those who left keep theirs in the record.
create unique index customers_phone on customers (phone) where deleted_at is null;
create index customers_address on customers (address_id);

create trigger customers_touch
  before update on customers
  for each row execute function touch_updated_at();

-- migrate:down
drop table customers;
drop type customer_kind;
