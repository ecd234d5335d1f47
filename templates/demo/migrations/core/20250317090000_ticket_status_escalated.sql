-- migrate:up
alter type ticket_status add value 'escalated' before 'closed';

-- migrate:down
-- PostgreSQL cannot take a value out of an enum: the type is built again without it.
alter table tickets drop constraint tickets_closed_at;
alter table tickets alter column status drop default;
alter type ticket_status rename to ticket_status_with_escalated;
create type ticket_status as enum ('open', 'in_progress', 'closed');
alter table tickets
  alter column status type ticket_status
  using (case status::text when 'escalated' then 'in_progress' else status::text end)::ticket_status;
alter table tickets alter column status set default 'open';
alter table tickets add constraint tickets_closed_at
  check ((status = 'closed') = (closed_at is not null));
drop type ticket_status_with_escalated;
