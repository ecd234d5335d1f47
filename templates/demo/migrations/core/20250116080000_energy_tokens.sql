-- migrate:up
create table energy_tokens (
  id bigint generated always as identity primary key,
  meter_id bigint not null references meters,
  payment_id bigint not null unique references payments,
  token char(20) not null check (token ~ '^[0-9]{20}$'),
  kwh numeric(10, 3) not null check (kwh > 0),
  issued_at timestamptz not null default now()
);

create index energy_tokens_meter on energy_tokens (meter_id, issued_at desc);

comment on column energy_tokens.token is 'The 20 digits that the customer types into an STS meter.';

-- migrate:down
drop table energy_tokens;
