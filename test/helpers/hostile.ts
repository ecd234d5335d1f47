/**
 * A tenant who waits for somebody with rights: everything of his that a statement could come upon calls a canary.
 * Calls are counted by a sequence, which no rollback takes back.
 */
import { createHistory } from '../../src/engine/history/history.ts';

/** All that could be called by a name that is looked up in his schema, which stands in front of pg_catalog. */
const EVIL = `create schema evil;
create sequence evil.calls;
create sequence evil.made;
grant usage on schema evil to public;
grant all on all sequences in schema evil to public;
set check_function_bodies = off;
create function evil.canary() returns trigger language plpgsql as
  $$ begin perform pg_catalog.nextval('evil.calls'); return new; end $$;
create function evil.canary_row(anyelement) returns boolean language plpgsql as
  $$ begin perform pg_catalog.nextval('evil.calls'); return true; end $$;
do $do$
declare
  of record;
  body text := $$ begin perform pg_catalog.nextval('evil.calls'); return null; end $$;
begin
  for of in
    select distinct o.oprname, l.oid::regtype::text as l, r.oid::regtype::text as r, s.oid::regtype::text as result, row_number() over () as nr
    from pg_operator o join pg_type r on r.oid = o.oprright join pg_type s on s.oid = o.oprresult
      cross join lateral (select t.oid from pg_type t where t.oid = o.oprleft) l
    where o.oprnamespace = 'pg_catalog'::regnamespace and r.typtype = 'b' and s.typtype = 'b'
      and (select typtype from pg_type where oid = o.oprleft) = 'b'
    union all
    select * from (values
      ('=', 'oid', 'integer', 'boolean', 100001), ('=', 'oid', 'regclass', 'boolean', 100002), ('=', 'integer', 'oid', 'boolean', 100003),
      ('=', 'text[]', 'text[]', 'boolean', 100004), ('=', 'oid[]', 'oid[]', 'boolean', 100005), ('<>', 'oid', 'integer', 'boolean', 100006),
      ('=', 'name', 'unknown', 'boolean', 100007), ('||', 'text[]', 'text[]', 'text[]', 100008), ('=', 'regclass', 'regclass', 'boolean', 100009),
      ('~', 'name', 'name', 'boolean', 100010), ('!~', 'name', 'name', 'boolean', 100011)) v
  loop
    begin
      execute format('create function evil.op_%s(%s, %s) returns %s language plpgsql as %L', of.nr, of.l, of.r, of.result, body);
      execute format('create operator evil.%s (leftarg = %s, rightarg = %s, function = evil.op_%s)', of.oprname, of.l, of.r, of.nr);
      perform nextval('evil.made');
    exception when others then null;
    end;
  end loop;
  for of in
    select p.proname, pg_get_function_identity_arguments(p.oid) as arguments, p.prorettype::regtype::text as result
    from pg_proc p where p.pronamespace = 'pg_catalog'::regnamespace and p.prokind = 'f' and not p.proretset and p.provariadic = 0
      and (select typtype from pg_type where oid = p.prorettype) = 'b'
      and not exists (select from unnest(p.proargtypes) a join pg_type t on t.oid = a where t.typtype <> 'b')
      and (p.proname ~ '^(pg_|to_|current_|set_|format|now|clock|transaction|statement|session|has_|obj_|shobj_|col_|array|json|string|starts_with|regexp|replace|substr|split|left|right|lower|upper|trim|btrim|length|octet|encode|decode|convert|sha|md5|coalesce|greatest|abs|floor|ceil|mod|round|random|version|inet|quote|concat|nextval|setval|currval|lastval|strpos|extract|date_)')
  loop
    begin
      execute format('create function evil.%I(%s) returns %s language plpgsql as %L', of.proname, of.arguments, of.result, body);
      perform nextval('evil.made');
    exception when others then null;
    end;
  end loop;
end $do$;
create function evil.counted(bigint) returns bigint language plpgsql as
  $$ begin perform pg_catalog.nextval('evil.calls'); return 0; end $$;
create function evil.most(bigint, bigint) returns bigint language plpgsql as
  $$ begin perform pg_catalog.nextval('evil.calls'); return 0; end $$;
create aggregate evil.count(*) (sfunc = evil.counted, stype = bigint, initcond = '0');
create aggregate evil.max(bigint) (sfunc = evil.most, stype = bigint, initcond = '0');
create aggregate evil.min(bigint) (sfunc = evil.most, stype = bigint, initcond = '0');
create type evil.mood as enum ('grim');
create function evil.said(evil.mood) returns text language plpgsql as
  $$ begin perform pg_catalog.nextval('evil.calls'); return 'x'; end $$;
create cast (evil.mood as text) with function evil.said(evil.mood) as implicit;
create table evil.moody (r evil.mood, row pg_catalog.int4);
create function evil.said_row(evil.moody) returns text language plpgsql as
  $$ begin perform pg_catalog.nextval('evil.calls'); return 'x'; end $$;
create cast (evil.moody as text) with function evil.said_row(evil.moody) as implicit;
insert into evil.moody values ('grim', 1);
create table evil.pg_class as select 1 as oid;
create table evil.pg_database as select 1 as oid;
create domain evil.text as pg_catalog.text check (evil.canary_row(value));
create domain evil.int4 as pg_catalog.int4 check (evil.canary_row(value));
create table evil.watched (id int primary key, note pg_catalog.text default evil.said('grim'));
insert into evil.watched (id, note) values (1, 'one');
create trigger canary before insert or update or delete on evil.watched for each row execute function evil.canary();
alter table evil.watched enable row level security, force row level security;
create policy canary on evil.watched using (evil.canary_row(id));
`;

/** Gives a database to that role, who lays everything out. */
export function hostile(database: string, role: string): string {
  return `alter database ${database} owner to ${role};
alter schema public owner to ${role};
set role ${role};
${EVIL}
select pg_catalog.setval('evil.calls', 1, false);
reset role;
alter database ${database} set search_path = evil, pg_catalog, public;
alter database ${database} set role = ${role};`;
}

/** A history that the tenant made first, with a policy and triggers. */
export function squatted(role: string): string {
  return `set role ${role};
set search_path = public;
create schema mpm_migrate;
${createHistory({ schema: 'mpm_migrate', table: 'history' })};
insert into mpm_migrate.history (position, name, version, checksum, state, started_at, tool_version, database_user, source, format)
  values (1, '1_meters', '1', 'v2:0', 'applied', pg_catalog.now(), '0.1.0', 'eve', 'core', 2);
grant all on schema mpm_migrate to public;
grant all on mpm_migrate.history to public;
create trigger canary before insert or update or delete on mpm_migrate.history for each row execute function evil.canary();
alter table mpm_migrate.history enable row level security, force row level security;
create policy canary on mpm_migrate.history using (evil.canary_row(name));
select pg_catalog.setval('evil.calls', 1, false);
reset role;`;
}

/** Whether the canary sang, and how much was laid out; as a client whose path is his own cannot ask. */
export const SELECT_CALLS = 'select c.is_called as sang, m.last_value as made from evil.calls c, evil.made m';
