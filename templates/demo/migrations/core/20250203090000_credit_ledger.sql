-- migrate:up
create table credit_ledger (
  id bigint generated always as identity primary key,
  customer_id bigint not null references customers,
  amount money_amount not null check (amount <> 0),
  payment_id bigint unique references payments,
  reason text not null,
  booked_at timestamptz not null default now()
);

create index credit_ledger_customer on credit_ledger (customer_id) include (amount);

create function refuse_ledger_change() returns trigger
language plpgsql as $$
begin
  raise exception 'the credit ledger is only ever added to'
    using hint = 'Book the opposite amount.', errcode = 'restrict_violation';
end;
$$;

create trigger credit_ledger_append_only
  before update or delete on credit_ledger
  for each row execute function refuse_ledger_change();

create function customer_balance(customer bigint) returns money_amount
language sql stable strict
return (
  select coalesce(sum(amount), 0)::money_amount from credit_ledger where customer_id = customer
);

-- migrate:down
drop function customer_balance(bigint);
drop table credit_ledger;
drop function refuse_ledger_change();
