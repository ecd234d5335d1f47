-- migrate:up
create function book_payment() returns trigger
language plpgsql as $$
begin
  insert into credit_ledger (customer_id, amount, payment_id, reason)
  values (new.customer_id, new.amount, new.id, 'payment by ' || new.channel);

  insert into agent_commissions (agent_id, payment_id, amount)
  select agents.id, new.id, round(new.amount * agents.commission_percent / 100, 2)
  from agents
  where agents.id = new.agent_id;

  return null;
end;
$$;

create trigger payments_book_new
  after insert on payments
  for each row when (new.status = 'confirmed')
  execute function book_payment();

create trigger payments_book_confirmed
  after update of status on payments
  for each row when (new.status = 'confirmed' and old.status <> 'confirmed')
  execute function book_payment();

-- migrate:down
drop trigger payments_book_confirmed on payments;
drop trigger payments_book_new on payments;
drop function book_payment();
