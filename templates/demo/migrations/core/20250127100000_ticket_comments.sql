-- migrate:up
create table ticket_comments (
  id bigint generated always as identity primary key,
  ticket_id bigint not null references tickets on delete cascade,
  author text not null,
  body text not null check (body <> ''),
  internal boolean not null default false,
  created_at timestamptz not null default now()
);

create index ticket_comments_ticket on ticket_comments (ticket_id, created_at);

comment on column ticket_comments.internal is 'True: staff only, never sent to the customer.';

-- migrate:down
drop table ticket_comments;
