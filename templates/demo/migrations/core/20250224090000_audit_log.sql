-- migrate:up
create table audit_log (
  id bigint generated always as identity primary key,
  table_name text not null,
  action text not null check (action in ('insert', 'update', 'delete')),
  row_id text not null,
  changed jsonb not null,
  changed_by text not null default current_user,
  changed_at timestamptz not null default now()
);

create index audit_log_row on audit_log (table_name, row_id);

create function write_audit_log() returns trigger
language plpgsql as $$
declare
  before jsonb := case when tg_op = 'INSERT' then '{}'::jsonb else to_jsonb(old) end;
  after jsonb := case when tg_op = 'DELETE' then '{}'::jsonb else to_jsonb(new) end;
begin
  insert into audit_log (table_name, action, row_id, changed)
  select
    tg_table_name,
    lower(tg_op),
    coalesce(after ->> 'id', before ->> 'id'),
    coalesce(jsonb_object_agg(key, jsonb_build_array(before -> key, after -> key)), '{}'::jsonb)
  from jsonb_object_keys(before || after) as key
  where before -> key is distinct from after -> key and key <> 'updated_at';
  return null;
end;
$$;

do $$
declare
  audited text;
begin
  foreach audited in array array['customers', 'meters', 'tariffs', 'agents'] loop
    execute format(
      'create trigger %I after insert or update or delete on %I for each row execute function write_audit_log()',
      audited || '_audit', audited
    );
  end loop;
end;
$$;

-- migrate:down
drop trigger agents_audit on agents;
drop trigger tariffs_audit on tariffs;
drop trigger meters_audit on meters;
drop trigger customers_audit on customers;
drop function write_audit_log();
drop table audit_log;
