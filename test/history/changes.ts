/** One change of one object. */
export interface Change {
  kind: string;
  object: string;
  /** What is done to it. */
  what: string;
  sql: string;
  /** docs/verify.md lists it among what isn't compared. */
  listed: boolean;
}

/**
 * Each object of a database with what can be changed of it, from the catalogs, without asking mpm-migrate what there is.
 * A change that another one makes impossible fails, and is counted.
 */
export const LIST_CHANGES = String.raw`
with members as materialized (select classid, objid from pg_depend where deptype = 'e'),
own as materialized (select * from pg_namespace n where nspname !~ '^pg_' and nspname not in ('information_schema', 'mpm_migrate')
  and not exists (select from members where classid = 'pg_namespace'::regclass and objid = n.oid)),
rel as materialized (select c.*, format('%I.%I', nspname, relname) as name from pg_class c join own on own.oid = relnamespace
  where not exists (select from members where classid = 'pg_class'::regclass and objid = c.oid)),
fun as materialized (select p.*, format('%s %I.%I(%s)', case prokind when 'p' then 'procedure' when 'a' then 'aggregate' else 'function' end, nspname, proname, pg_get_function_identity_arguments(p.oid)) as name,
    format('routine %I.%I(%s)', nspname, proname, pg_get_function_identity_arguments(p.oid)) as routine
  from pg_proc p join own on own.oid = pronamespace where not exists (select from members where classid = 'pg_proc'::regclass and objid = p.oid)),
typ as materialized (select t.*, format('%I.%I', nspname, typname) as name from pg_type t join own on own.oid = typnamespace
  where not exists (select from members where classid = 'pg_type'::regclass and objid = t.oid)),
col as materialized (select a.*, rel.name as rel, rel.relispartition, format('%I', attname) as name, format_type(atttypid, atttypmod) as type,
    (select typcategory from pg_type t where t.oid = atttypid) as category
  from pg_attribute a join rel on rel.oid = attrelid where relkind in ('r', 'p') and attnum > 0 and not attisdropped)
select kind, object, what, sql, listed from (
select 'schema' as kind, nspname::text as object, w.* from own, lateral (values
  ('rename', format('alter schema %I rename to renamed_schema', nspname), false),
  ('grant', format('grant create on schema %I to pg_monitor', nspname), false),
  ('comment', format('comment on schema %I is ''other''', nspname), nspname = 'public'),
  ('owner', format('alter schema %I owner to pg_monitor', nspname), true)) w (what, sql, listed)
union all select case relkind when 'v' then 'view' when 'm' then 'materialized view' when 'S' then 'sequence' when 'c' then 'composite type' else case when relispartition then 'partition' else 'table' end end, name, w.* from rel, lateral (values
  ('rename', format('alter table %s rename to renamed_relation', name), relispartition or exists (select from pg_depend d where d.objid = rel.oid and deptype = 'i' and relkind = 'S')),
  ('grant', format('grant select on %s to pg_monitor', name), relispartition),
  ('grant to public', format('grant select on %s to public', name), relispartition),
  ('drop', format('drop %s %s cascade', case relkind when 'v' then 'view' when 'm' then 'materialized view' when 'S' then 'sequence' else 'table' end, name), relispartition),
  ('comment', format('comment on %s %s is ''other''', case relkind when 'v' then 'view' when 'm' then 'materialized view' when 'S' then 'sequence' else 'table' end, name), relispartition),
  ('owner', format('alter table %s owner to pg_monitor', name), true)) w (what, sql, listed) where relkind in ('r', 'p', 'v', 'm', 'S')
union all select case when relispartition then 'partition' else 'table' end, name, w.what, w.sql, w.listed or relispartition from rel, lateral (values
  ('column added', format('alter table %s add added_column int', name), false),
  ('check added', format('alter table %s add constraint added_check check (1 = 1)', name), false),
  ('row security', format('alter table %s %s row level security', name, case when relrowsecurity then 'disable' else 'enable' end), false),
  ('row security forced', format('alter table %s %s row level security', name, case when relforcerowsecurity then 'no force' else 'force' end), false),
  ('policy added', format('create policy added_policy on %s', name), false),
  ('unlogged', format('alter table %s set %s', name, case relpersistence when 'u' then 'logged' else 'unlogged' end), false),
  ('index added', format('create index added_index on %s ((1))', name), false),
  ('rule added', format('create rule added_rule as on delete to %s do also nothing', name), false),
  ('storage setting', format('alter table %s set (fillfactor = 77)', name), true),
  ('replica identity', format('alter table %s replica identity full', name), true)) w (what, sql, listed) where relkind in ('r', 'p')
union all select 'view', name, w.* from rel, lateral (values
  ('query', format('create or replace view %s as select * from (%s) as x limit 7', name, rtrim(pg_get_viewdef(oid), '; ')), false),
  ('option', format('alter view %s set (security_barrier = true)', name), false)) w (what, sql, listed) where relkind = 'v'
union all select 'materialized view', name, 'query', format('do $do$ begin drop materialized view %s; execute %L; end $do$', name, format('create materialized view %s as select * from (%s) as x limit 7', name, rtrim(pg_get_viewdef(oid), '; '))), false from rel where relkind = 'm'
union all select 'sequence', name, w.* from rel join pg_sequence s on seqrelid = rel.oid, lateral (values
  ('increment', format('alter sequence %s increment 77', name), false), ('start', format('alter sequence %s start 77', name), false),
  ('cycle', format('alter sequence %s %s cycle', name, case when seqcycle then 'no' else '' end), false),
  ('cache', format('alter sequence %s cache 77', name), false),
  ('owner column', format('alter sequence %s owned by none', name), not exists (select from pg_depend d where d.objid = rel.oid and deptype = 'a')),
  ('value', format('select setval(%L, 1777)', name), true)) w (what, sql, listed)
union all select 'column', rel || '.' || name, w.what, w.sql, w.listed or relispartition from col, lateral (values
  ('drop', format('alter table %s drop column %s cascade', rel, name), false),
  ('rename', format('alter table %s rename column %s to renamed_column', rel, name), false),
  ('type', format(case when type = 'text' then 'alter table %s alter column %s type varchar(777)' else 'alter table %s alter column %s type text using %2$s::text' end, rel, name), false),
  ('null', format('alter table %s alter column %s %s not null', rel, name, case when attnotnull then 'drop' else 'set' end), false),
  ('default', format('alter table %s alter column %s %s', rel, name, case when atthasdef then 'drop default' when attidentity <> '' then 'drop identity'
    else format('set default %s', case category when 'S' then quote_literal('other') when 'N' then '77' when 'B' then 'true' when 'D' then quote_literal('2001-01-01') else 'null' end) end),
    not atthasdef and attidentity = '' and category not in ('S', 'N', 'B', 'D')),
  ('grant', format('grant select (%s) on %s to pg_monitor', name, rel), false),
  ('comment', format('comment on column %s.%s is ''other''', rel, name), false),
  ('statistics', format('alter table %s alter column %s set statistics 77', rel, name), true)) w (what, sql, listed)
union all select 'column', rel || '.' || name, 'collation', format('alter table %s alter column %s type %s collate "POSIX"', rel, name, type), relispartition from col where attcollation <> 0
union all select 'constraint', format('%s.%I', rel.name, conname), w.what, w.sql, w.listed or relispartition from pg_constraint k join rel on rel.oid = conrelid, lateral (values
  ('drop', format('alter table %s drop constraint %I cascade', rel.name, conname), false),
  ('rename', format('alter table %s rename constraint %I to renamed_constraint', rel.name, conname), false),
  ('comment', format('comment on constraint %I on %s is ''other''', conname, rel.name), false)) w (what, sql, listed) where contype in ('c', 'f', 'p', 'u', 'x') and conparentid = 0
union all select 'constraint', format('%s.%I', rel.name, conname), 'deferrable', format('alter table %s alter constraint %I %sdeferrable', rel.name, conname, case when condeferrable then 'not ' else '' end), relispartition from pg_constraint k join rel on rel.oid = conrelid where contype = 'f' and conparentid = 0
union all select 'index', i.name, w.what, w.sql, w.listed or t.relispartition or i.relispartition from pg_index x join rel i on i.oid = indexrelid join rel t on t.oid = indrelid, lateral (values
  ('drop', format('drop index %s cascade', i.name), false),
  ('rename', format('alter index %s rename to renamed_index', i.name), false),
  ('definition', format('do $do$ begin drop index %s; execute %L; end $do$', i.name, regexp_replace(pg_get_indexdef(indexrelid), ' WHERE .*', '') || ' where 7 = 7'), false),
  ('valid', format('update pg_index set indisvalid = false where indexrelid = %s', indexrelid), false),
  ('comment', format('comment on index %s is ''other''', i.name), false),
  ('storage setting', format('alter index %s set (fillfactor = 77)', i.name), true)) w (what, sql, listed)
  where not exists (select from pg_constraint where conindid = indexrelid and contype in ('p', 'u', 'x'))
union all select 'function', name, w.* from fun, lateral (values
  ('drop', format('drop %s cascade', name), false),
  ('rename', format('alter %s rename to renamed_function', name), false),
  ('grant', format('grant execute on %s to pg_monitor', routine), false),
  ('revoke', format('revoke execute on %s from public', routine), false),
  ('comment', format('comment on %s is ''other''', name), false)) w (what, sql, listed)
union all select 'function', name, w.* from fun, lateral (values
  ('security', format('alter %s security %s', routine, case when prosecdef then 'invoker' else 'definer' end), false),
  ('setting', format('alter %s set work_mem = ''77MB''', routine), false)) w (what, sql, listed) where prokind in ('f', 'p')
union all select 'function', name, w.* from fun, lateral (values
  ('body', case when prosqlbody is null then format('do $do$ begin execute replace(pg_get_functiondef(%s), %L, %L); end $do$', oid, prosrc, case when prosrc ~* '^\s*(begin|declare)' then e'/* other */' || prosrc else prosrc || e' -- other' end) else format('alter %s cost 77', name) end, false),
  ('volatility', format('alter %s %s', name, case provolatile when 'i' then 'volatile' else 'immutable' end), false),
  ('strictness', format('alter %s %s', name, case when proisstrict then 'called on null input' else 'strict' end), false),
  ('parallel', format('alter %s parallel %s', name, case proparallel when 's' then 'unsafe' else 'safe' end), false)) w (what, sql, listed) where prokind = 'f'
union all select 'trigger', format('%s.%I', rel.name, tgname), w.what, w.sql, w.listed or relispartition from pg_trigger t join rel on rel.oid = tgrelid, lateral (values
  ('disable', format('alter table %s disable trigger %I', rel.name, tgname), false),
  ('always', format('alter table %s enable always trigger %I', rel.name, tgname), false),
  ('drop', format('drop trigger %I on %s', tgname, rel.name), false),
  ('rename', format('alter trigger %I on %s rename to renamed_trigger', tgname, rel.name), false),
  ('comment', format('comment on trigger %I on %s is ''other''', tgname, rel.name), false)) w (what, sql, listed) where not tgisinternal and tgparentid = 0
union all select 'rule', format('%s.%I', rel.name, rulename), w.* from pg_rewrite r join rel on rel.oid = ev_class, lateral (values
  ('disable', format('alter table %s disable rule %I', rel.name, rulename), false),
  ('drop', format('drop rule %I on %s', rulename, rel.name), false),
  ('comment', format('comment on rule %I on %s is ''other''', rulename, rel.name), false)) w (what, sql, listed) where rulename <> '_RETURN'
union all select 'policy', format('%s.%I', rel.name, polname), w.* from pg_policy p join rel on rel.oid = polrelid, lateral (values
  ('drop', format('drop policy %I on %s', polname, rel.name), false),
  ('roles', format('alter policy %I on %s to pg_monitor', polname, rel.name), false),
  ('expression', format('alter policy %I on %s %s (7 = 7)', polname, rel.name, case when polqual is null then 'with check' else 'using' end), false),
  ('rename', format('alter policy %I on %s rename to renamed_policy', polname, rel.name), false),
  ('comment', format('comment on policy %I on %s is ''other''', polname, rel.name), false)) w (what, sql, listed)
union all select case typtype when 'e' then 'enum' when 'd' then 'domain' when 'c' then 'composite type' else 'range' end, name, w.* from typ, lateral (values
  ('rename', format('alter type %s rename to renamed_type', name), false),
  ('revoke', format('revoke usage on type %s from public', name), false),
  ('drop', format('drop type %s cascade', name), false),
  ('comment', format('comment on type %s is ''other''', name), false)) w (what, sql, listed)
  where typtype in ('e', 'd', 'r') or typtype = 'c' and exists (select from rel where rel.oid = typrelid and relkind = 'c')
union all select 'enum', name, w.* from typ, lateral (select quote_literal(min(enumlabel)) as label from pg_enum where enumtypid = typ.oid) e, lateral (values
  ('label added', format('alter type %s add value ''other''', name), false),
  ('label renamed', format('alter type %s rename value %s to ''other''', name, label), false)) w (what, sql, listed) where typtype = 'e'
union all select 'domain', name, w.* from typ, lateral (values
  ('check added', format('alter domain %s add constraint added_check check (7 = 7)', name), false),
  ('null', format('alter domain %s %s not null', name, case when typnotnull then 'drop' else 'set' end), false),
  ('default', format('alter domain %s %s', name, case when typdefault is null then format('set default null::%s', format_type(typbasetype, typtypmod)) else 'drop default' end), typdefault is null)) w (what, sql, listed) where typtype = 'd'
union all select 'domain', name, 'check dropped', format('alter domain %s drop constraint %I', name, conname), false from typ join pg_constraint on contypid = typ.oid where contype = 'c'
union all select 'composite type', name, 'column added', format('alter type %s add attribute added_column int', name), false from rel where relkind = 'c'
union all select 'extension', extname, w.* from pg_extension, lateral (values
  ('drop', format('drop extension %I cascade', extname), false),
  ('schema', format('alter extension %I set schema %s', extname, case (select nspname from pg_namespace n where n.oid = extnamespace) when 'public' then 'other_schema' else 'public' end), false)) w (what, sql, listed) where extname <> 'plpgsql'
union all select 'event trigger', evtname::text, 'disable', format('alter event trigger %I disable', evtname), false from pg_event_trigger
union all select 'collation', collname::text, w.* from pg_collation c join own on own.oid = collnamespace, lateral (values
  ('rename', format('alter collation %I.%I rename to renamed_collation', nspname, collname), false)) w (what, sql, listed)
union all select 'operator', oprname::text, 'drop', format('drop operator %I.%s (%s, %s) cascade', nspname, oprname, case oprleft when 0 then 'none' else oprleft::regtype::text end, oprright::regtype::text), true from pg_operator o join own on own.oid = oprnamespace where not exists (select from members where classid = 'pg_operator'::regclass and objid = o.oid)
union all select 'cast', format('%s as %s', castsource::regtype, casttarget::regtype), 'drop', format('drop cast (%s as %s)', castsource::regtype, casttarget::regtype), true from pg_cast c where c.oid >= 16384 and not exists (select from members where classid = 'pg_cast'::regclass and objid = c.oid)
union all select 'text search configuration', cfgname::text, 'drop', format('drop text search configuration %I.%I cascade', nspname, cfgname), true from pg_ts_config c join own on own.oid = cfgnamespace where not exists (select from members where classid = 'pg_ts_config'::regclass and objid = c.oid)
union all select 'extended statistics', stxname::text, 'drop', format('drop statistics %I.%I', nspname, stxname), true from pg_statistic_ext s join own on own.oid = stxnamespace
union all select 'publication', pubname::text, 'drop', format('drop publication %I', pubname), true from pg_publication
union all select * from (values
  ('database', 'new objects', 'schema added', 'create schema added_schema', false),
  ('database', 'new objects', 'view added', 'create view public.added_view as select 7 as seven', false),
  ('database', 'new objects', 'function added', 'create function public.added_function() returns int language sql as ''select 7''', false),
  ('database', 'new objects', 'sequence added', 'create sequence public.added_sequence', false),
  ('database', 'new objects', 'enum added', 'create type public.added_type as enum (''x'')', false),
  ('database', 'new objects', 'domain added', 'create domain public.added_domain as int', false),
  ('database', 'new objects', 'extension added', 'create extension citext schema public', exists (select from pg_extension where extname = 'citext')),
  ('database', 'new objects', 'default privileges', 'alter default privileges grant select on tables to pg_monitor', false),
  ('database', 'new objects', 'foreign server added', 'create foreign data wrapper added_wrapper', true)) v
) every`;
