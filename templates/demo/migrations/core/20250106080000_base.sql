-- What every later migration builds on. No way down on purpose: below it there is nothing.

create function touch_updated_at() returns trigger
language plpgsql as $$
begin
  if new is distinct from old then
    new.updated_at := now();
  end if;
  return new;
end;
$$;

comment on function touch_updated_at() is 'Row trigger: keeps updated_at true, and leaves it alone when nothing changed.';

-- Mini-grid customers are reached by mobile money and SMS: only international numbers work for both.
create domain phone_number as text
  check (value ~ '^\+[1-9][0-9]{6,14}$');

create domain money_amount as numeric(14, 2);
