-- migrate:up
create type payment_status as enum ('pending', 'confirmed', 'failed');

create table payments (
  id bigint generated always as identity primary key,
  customer_id bigint not null references customers,
  meter_id bigint references meters,
  channel text not null references payment_channels,
  reference text not null,
  amount money_amount not null check (amount > 0),
  status payment_status not null default 'pending',
  paid_at timestamptz not null default now(),
  -- Providers call back more than once: the second time must hit this, not the customer's credit.
  unique (channel, reference)
);

create index payments_customer on payments (customer_id, paid_at desc);
create index payments_pending on payments (paid_at) where status = 'pending';

-- migrate:down
drop table payments;
drop type payment_status;
