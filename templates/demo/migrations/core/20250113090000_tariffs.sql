-- migrate:up
create table tariffs (
  id integer generated always as identity primary key,
  name text not null unique,
  currency char(3) not null check (currency = upper(currency)),
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

create table tariff_prices (
  id integer generated always as identity primary key,
  tariff_id integer not null references tariffs on delete cascade,
  price_per_kwh numeric(12, 4) not null check (price_per_kwh >= 0),
  valid_during daterange not null check (not isempty(valid_during)),
  -- One price a day. The one-element range stands in for "=", so that no extension is needed.
  constraint tariff_prices_do_not_overlap
    exclude using gist (int4range(tariff_id, tariff_id, '[]') with &&, valid_during with &&)
);

create trigger tariffs_touch
  before update on tariffs
  for each row execute function touch_updated_at();

create function tariff_price_on(tariff integer, day date) returns numeric
language sql stable strict
return (
  select price_per_kwh from tariff_prices where tariff_id = tariff and valid_during @> day
);

alter table meters add column tariff_id integer references tariffs;

-- migrate:down
alter table meters drop column tariff_id;
drop function tariff_price_on(integer, date);
drop table tariff_prices;
drop table tariffs;
