-- migrate:up
create table agents (
  id integer generated always as identity primary key,
  name text not null,
  phone phone_number not null unique,
  village_id integer references villages,
  commission_percent numeric(4, 2) not null default 2.5 check (commission_percent between 0 and 20),
  float_limit money_amount not null default 0 check (float_limit >= 0),
  active boolean not null default true,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now()
);

create trigger agents_touch
  before update on agents
  for each row execute function touch_updated_at();

alter table payments add column agent_id integer references agents;
alter table payments add constraint payments_agent_only_by_agents
  check (agent_id is null or channel = 'agent');

-- migrate:down
alter table payments drop constraint payments_agent_only_by_agents;
alter table payments drop column agent_id;
drop table agents;
