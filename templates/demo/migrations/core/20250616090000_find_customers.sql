-- migrate:up
alter table customers add column search tsvector generated always as (
  to_tsvector('simple', coalesce(given_name, '') || ' ' || family_name || ' ' || customer_number || ' ' || coalesce(phone, ''))
) stored;

create index customers_search on customers using gin (search) where deleted_at is null;

create function find_customers(words text) returns setof customers
language sql stable as $$
  select *
  from customers
  where search @@ websearch_to_tsquery('simple', words) and deleted_at is null
  order by family_name, given_name
  limit 50
$$;

-- migrate:down
drop function find_customers(text);
alter table customers drop column search;
