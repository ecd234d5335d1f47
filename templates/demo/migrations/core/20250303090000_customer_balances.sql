-- migrate:up
create view customer_balances as
select
  customers.id as customer_id,
  customers.display_name,
  customers.phone,
  coalesce(sum(credit_ledger.amount), 0)::money_amount as balance,
  max(credit_ledger.booked_at) as last_booked_at
from customers
left join credit_ledger on credit_ledger.customer_id = customers.id
where customers.deleted_at is null
group by customers.id;

-- migrate:down
drop view customer_balances;
