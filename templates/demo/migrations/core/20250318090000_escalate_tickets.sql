-- migrate:up
create index tickets_escalated on tickets (opened_at) where status = 'escalated';

create function escalate_late_tickets() returns integer
language sql as $$
  with late as (
    update tickets
    set status = 'escalated'
    from ticket_categories
    where ticket_categories.code = tickets.category
      and tickets.status = 'open'
      and tickets.opened_at + ticket_categories.answer_within < now()
    returning tickets.id
  ), noted as (
    insert into ticket_comments (ticket_id, author, body, internal)
    select id, 'system', 'Not answered in time: escalated.', true
    from late
  )
  select count(*)::integer from late
$$;

-- migrate:down
drop function escalate_late_tickets();
drop index tickets_escalated;
