-- migrate:up
create type ticket_status as enum ('open', 'in_progress', 'closed');

create table ticket_categories (
  code text primary key,
  name text not null,
  answer_within interval not null
);

insert into ticket_categories (code, name, answer_within) values
  ('no_power', 'No power', '4 hours'),
  ('token_rejected', 'The meter rejects a token', '1 day'),
  ('wrong_charge', 'Charged wrongly', '3 days'),
  ('new_connection', 'New connection', '10 days');

create table tickets (
  id bigint generated always as identity primary key,
  category text not null references ticket_categories,
  customer_id bigint references customers,
  meter_id bigint references meters,
  subject text not null check (length(subject) between 3 and 200),
  status ticket_status not null default 'open',
  opened_at timestamptz not null default now(),
  closed_at timestamptz,
  updated_at timestamptz not null default now(),
  constraint tickets_closed_at check ((status = 'closed') = (closed_at is not null))
);

create index tickets_customer on tickets (customer_id);

create trigger tickets_touch
  before update on tickets
  for each row execute function touch_updated_at();

-- migrate:down
drop table tickets;
drop table ticket_categories;
drop type ticket_status;
