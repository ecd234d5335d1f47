-- migrate:up
-- The number printed on receipts: a running number, given to those who are there already too.
alter table customers add column customer_number text;

create sequence customer_numbers owned by customers.customer_number;

create function next_customer_number() returns text
language sql volatile
return 'C' || lpad(nextval('customer_numbers')::text, 7, '0');

update customers
set customer_number = numbered.number
from (
  select id, next_customer_number() as number
  from (select id from customers order by joined_on, id) as in_order
) as numbered
where numbered.id = customers.id;

alter table customers
  alter column customer_number set default next_customer_number(),
  alter column customer_number set not null,
  add constraint customers_customer_number unique (customer_number);

-- migrate:down
alter table customers alter column customer_number drop default;
drop function next_customer_number();
alter table customers drop column customer_number;
