import type { Connection } from '../../postgres/connection.ts';
import { literal } from '../../postgres/quote.ts';
import type { HistoryTable } from '../history/history.ts';

/** What is compared. */
export type CatalogKind =
  | 'schema'
  | 'extension'
  | 'collation'
  | 'type'
  | 'sequence'
  | 'table'
  | 'column'
  | 'view'
  | 'function'
  | 'constraint'
  | 'index'
  | 'trigger'
  | 'rule'
  | 'policy'
  | 'event trigger'
  | 'default privileges'
  | 'comment';

/** One object of a database, as its catalogs say it. Names are not quoted. */
export interface CatalogObject {
  kind: CatalogKind;
  /** Empty where it is in none. */
  schema: string;
  /** The table, or other relation, that it is a part of; empty where it is none. */
  parent: string;
  /** Of a function with its arguments. */
  name: string;
  /** What is compared, by its name. */
  facts: Record<string, Fact>;
  /** Ascending in the order in which objects were created. */
  oid: number;
}

export type Fact = string | boolean | null | string[];

export interface CatalogOptions {
  history: HistoryTable;
  /** Comments, too. */
  comments: boolean;
  /** ms that a lock of a migration at work is waited for. */
  lockTimeout: number;
}

/** All that a database consists of, in one value: two are equal when their objects are. */
export async function readFingerprint(connection: Connection, options: CatalogOptions): Promise<string> {
  const [row] = await connection.query<{ fingerprint: string }>(selectFingerprint(options));
  return row?.fingerprint ?? '';
}

export function selectFingerprint(options: CatalogOptions): string {
  return `${settings(options)};\n${fingerprintOfObjects(options)}`;
}

/** The same as a COPY, to go with another message; behind it a text, in hexadecimal digits. */
export function copyFingerprint(options: CatalogOptions, text: string): string {
  const digits = `pg_catalog.encode(pg_catalog.convert_to((${text}), 'UTF8'), 'hex')`;
  return `${settings(options)};\ncopy (select f.fingerprint, ${digits} from (${fingerprintOfObjects(options)}) f) to stdout`;
}

export function parseFingerprint(copied: string): { fingerprint: string; text: string | null } {
  const [fingerprint = '', digits = ''] = copied.trimEnd().split('\t');
  return { fingerprint, text: digits === '\\N' ? null : Buffer.from(digits, 'hex').toString() };
}

function fingerprintOfObjects(options: CatalogOptions): string {
  return `select pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(coalesce(pg_catalog.string_agg(
  pg_catalog.format('%s|%s|%s|%s|%s', kind, schema, parent, name, facts), e'\\n' order by kind collate "C", schema collate "C", parent collate "C", name collate "C", facts::text collate "C"), ''),
  pg_catalog.getdatabaseencoding())), 'hex') as fingerprint from (${selectObjects(options)}) o`;
}

/** The same, object by object. */
export async function readCatalog(connection: Connection, options: CatalogOptions): Promise<CatalogObject[]> {
  const rows = await connection.query<Omit<CatalogObject, 'oid' | 'facts'> & { oid: string; facts: string }>(
    `${settings(options)};
select kind, schema, parent, name, facts::text as facts, oid::text as oid from (${selectObjects(options)}) o
order by kind collate "C", schema collate "C", parent collate "C", name collate "C"`,
  );
  return rows.map(({ oid, facts, ...row }) => ({
    ...row,
    facts: JSON.parse(facts) as CatalogObject['facts'],
    oid: Number(oid),
  }));
}

/** What `pg_get_…def` writes depends on nothing but the object; and nobody's lock is waited for without end. */
function settings({ lockTimeout }: CatalogOptions): string {
  return `set local jit=off;\nset local quote_all_identifiers=off;\nset local lock_timeout=${lockTimeout}`;
}

/** Rights but for those of who has them anyway: the owner, who owns the database, superusers. Who granted is not told. */
function rights(acl: string, owner: string, usual: 'none' | 'execute' | 'usage', extra = ''): string {
  const nothing = { none: '[]', execute: '["public EXECUTE"]', usage: '["public USAGE"]' }[usual];
  return `case when ${acl} is null then ${literal(nothing)}::pg_catalog.jsonb else (
    select coalesce(pg_catalog.jsonb_agg(g.what order by g.what collate "C"), '[]') from (
      select distinct case e.grantee when 0 then 'public' else pg_catalog.quote_ident(r.rolname) end || ' ' || e.privilege_type
        || case when e.is_grantable then ' WITH GRANT OPTION' else '' end as what
      from pg_catalog.aclexplode(${acl}) e left join pg_catalog.pg_roles r on r.oid = e.grantee
      where e.grantee <> ${owner} and e.grantee <> (select datdba from database) and not coalesce(r.rolsuper, false)
        and (e.grantee = 0 or r.rolname is not null)${extra}) g) end`;
}

/** Of the sequence behind an identity column, whose name is PostgreSQL's. */
function identitySequence(fact: string): string {
  return `(select ${fact} from pg_catalog.pg_depend d join pg_catalog.pg_class s on s.oid = d.objid join pg_catalog.pg_sequence q on q.seqrelid = s.oid
    where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.refobjid = a.attrelid and d.refobjsubid = a.attnum and d.deptype = 'i')`;
}

/**
 * Every object with what is compared of it. Left out: what belongs to an extension, partitions (who makes them is the
 * application), NOT NULL constraints (the column says so; only PostgreSQL 18 has them), indexes of constraints, the
 * triggers of foreign keys, and what is the history's.
 */
function selectObjects({ history, comments }: CatalogOptions): string {
  const historySchema = literal(history.schema);
  const historyTable = literal(history.table);
  return `with database as (select datdba from pg_catalog.pg_database where datname = pg_catalog.current_database()),
members as materialized (select classid, objid from pg_catalog.pg_depend where refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass and deptype = 'e'),
schemas as materialized (select * from pg_catalog.pg_namespace n where n.nspname !~ '^pg_' and n.nspname not in ('information_schema', 'mpm_migrate')
  and not exists (select from members m where m.classid = 'pg_catalog.pg_namespace'::pg_catalog.regclass and m.objid = n.oid)),
relations as materialized (select c.*, n.nspname from pg_catalog.pg_class c join schemas n on n.oid = c.relnamespace
  where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S', 'c') and not c.relispartition and not (n.nspname = ${historySchema} and c.relname = ${historyTable})
  and not exists (select from members m where m.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and m.objid = c.oid)),
columns as materialized (select a.attrelid, a.attnum, a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod)
    || coalesce((select ' collate ' || case o.collnamespace when 'pg_catalog'::pg_catalog.regnamespace then '' else pg_catalog.quote_ident(s.nspname) || '.' end || pg_catalog.quote_ident(o.collname)
      from pg_catalog.pg_collation o join pg_catalog.pg_namespace s on s.oid = o.collnamespace
      join pg_catalog.pg_type t on t.oid = a.atttypid where o.oid = a.attcollation and a.attcollation <> t.typcollation), '') as type,
    a.attnotnull, a.attidentity, a.attgenerated, a.attacl, c.relkind, c.relname, c.relowner, c.nspname
  from pg_catalog.pg_attribute a join relations c on c.oid = a.attrelid where a.attnum > 0 and not a.attisdropped and c.relkind <> 'S'),
functions as materialized (select p.*, n.nspname from pg_catalog.pg_proc p join schemas n on n.oid = p.pronamespace
  where not exists (select from members m where m.classid = 'pg_catalog.pg_proc'::pg_catalog.regclass and m.objid = p.oid)),
types as materialized (select t.*, n.nspname from pg_catalog.pg_type t join schemas n on n.oid = t.typnamespace where t.typtype in ('e', 'd', 'r', 'c')
  and (t.typtype <> 'c' or exists (select from relations c where c.oid = t.typrelid and c.relkind = 'c'))
  and not exists (select from members m where m.classid = 'pg_catalog.pg_type'::pg_catalog.regclass and m.objid = t.oid))
select * from (
select 'schema' as kind, n.nspname::text as schema, '' as parent, n.nspname::text as name, n.oid, pg_catalog.jsonb_build_object(
  'privileges', ${rights('n.nspacl', 'n.nspowner', 'none', " and not (n.nspname = 'public' and e.grantee = 0)")}) as facts from schemas n
  where n.nspname <> ${historySchema} or n.nspname = 'public'
union all select 'extension', '', '', e.extname::text, e.oid, pg_catalog.jsonb_build_object('schema', n.nspname)
  from pg_catalog.pg_extension e join pg_catalog.pg_namespace n on n.oid = e.extnamespace
union all select 'collation', n.nspname::text, '', c.collname::text, c.oid, pg_catalog.jsonb_build_object('provider', c.collprovider, 'deterministic', c.collisdeterministic,
  'locale', coalesce(pg_catalog.to_jsonb(c) ->> 'colllocale', pg_catalog.to_jsonb(c) ->> 'colliculocale', c.collcollate), 'ctype', c.collctype, 'rules', pg_catalog.to_jsonb(c) ->> 'collicurules')
  from pg_catalog.pg_collation c join schemas n on n.oid = c.collnamespace
  where not exists (select from members m where m.classid = 'pg_catalog.pg_collation'::pg_catalog.regclass and m.objid = c.oid)
union all select 'type', t.nspname::text, '', t.typname::text, t.oid, pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object('privileges', ${rights('t.typacl', 't.typowner', 'usage')},
  'is', case t.typtype when 'e' then 'enum' when 'd' then 'domain' when 'c' then 'composite' else 'range' end,
  'labels', case when t.typtype = 'e' then (select pg_catalog.jsonb_agg(e.enumlabel order by e.enumsortorder) from pg_catalog.pg_enum e where e.enumtypid = t.oid) end,
  'columns', case when t.typtype = 'c' then (select pg_catalog.jsonb_agg(pg_catalog.quote_ident(a.attname) || ' ' || a.type order by a.attnum) from columns a where a.attrelid = t.typrelid) end,
  'base', case when t.typtype = 'd' then pg_catalog.format_type(t.typbasetype, t.typtypmod) end, 'not null', case when t.typtype = 'd' then t.typnotnull end,
  'default', case when t.typtype = 'd' then t.typdefault end,
  'constraints', case when t.typtype = 'd' then (select pg_catalog.jsonb_agg(pg_catalog.quote_ident(k.conname) || ' ' || pg_catalog.pg_get_constraintdef(k.oid) order by k.conname) from pg_catalog.pg_constraint k where k.contypid = t.oid and k.contype = 'c') end,
  'subtype', case when t.typtype = 'r' then (select pg_catalog.format_type(r.rngsubtype, null) from pg_catalog.pg_range r where r.rngtypid = t.oid) end)) from types t
union all select 'sequence', c.nspname::text, '', c.relname::text, c.oid, pg_catalog.jsonb_build_object('privileges', ${rights('c.relacl', 'c.relowner', 'none')},
  'type', pg_catalog.format_type(s.seqtypid, null), 'start', s.seqstart::text, 'increment', s.seqincrement::text, 'minimum', s.seqmin::text, 'maximum', s.seqmax::text,
  'cache', s.seqcache::text, 'cycle', s.seqcycle, 'owned by', (select pg_catalog.jsonb_build_array(a.nspname, a.relname, a.attname) from pg_catalog.pg_depend d join columns a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
    where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = c.oid and d.objsubid = 0 and d.deptype = 'a' and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass))
  from relations c join pg_catalog.pg_sequence s on s.seqrelid = c.oid where not exists (select from pg_catalog.pg_depend d where d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objid = c.oid and d.deptype in ('i', 'a')
    and d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass and (d.deptype = 'i' or not exists (select from relations o where o.oid = d.refobjid)))
union all select 'table', c.nspname::text, '', c.relname::text, c.oid, pg_catalog.jsonb_build_object('privileges', ${rights('c.relacl', 'c.relowner', 'none')},
  'is', case c.relkind when 'f' then 'foreign' else case c.relpersistence when 'u' then 'unlogged' else 'permanent' end end, 'row security', c.relrowsecurity, 'forced row security', c.relforcerowsecurity,
  'partition key', case when c.relkind = 'p' then pg_catalog.pg_get_partkeydef(c.oid) end,
  'inherits', (select pg_catalog.jsonb_agg(pg_catalog.format('%I.%I', p.nspname, p.relname) order by i.inhseqno) from pg_catalog.pg_inherits i join relations p on p.oid = i.inhparent where i.inhrelid = c.oid),
  'columns', (select pg_catalog.jsonb_agg(a.attname order by a.attnum) from columns a where a.attrelid = c.oid)) from relations c where c.relkind in ('r', 'p', 'f')
union all select 'column', a.nspname::text, a.relname::text, a.attname::text, a.attnum::pg_catalog.int4::pg_catalog.oid, pg_catalog.jsonb_build_object('type', a.type, 'not null', a.attnotnull
    and not exists (select from pg_catalog.pg_constraint k where k.conrelid = a.attrelid and k.contype = 'n' and not k.convalidated and a.attnum = any(k.conkey)),
  'identity', case a.attidentity when 'a' then 'always' when 'd' then 'by default' end,
  'sequence', case when a.attidentity <> '' then ${identitySequence("pg_catalog.to_jsonb(pg_catalog.format('start %s increment %s minvalue %s maxvalue %s cache %s%s', q.seqstart, q.seqincrement, q.seqmin, q.seqmax, q.seqcache, case when q.seqcycle then ' cycle' end))")} end,
  'privileges of its sequence', case when a.attidentity <> '' then ${identitySequence(rights('s.relacl', 's.relowner', 'none'))} end,
  'default', case when a.attgenerated = '' then d.expression end, 'generated', case a.attgenerated when '' then null else d.expression || case a.attgenerated when 's' then ' stored' else ' virtual' end end,
  'privileges', ${rights('a.attacl', 'a.relowner', 'none')})
  from columns a left join (select d.adrelid, d.adnum, pg_catalog.pg_get_expr(d.adbin, d.adrelid) as expression from pg_catalog.pg_attrdef d join relations c on c.oid = d.adrelid) d on d.adrelid = a.attrelid and d.adnum = a.attnum
  where a.relkind in ('r', 'p', 'f')
union all select 'view', c.nspname::text, '', c.relname::text, c.oid, pg_catalog.jsonb_build_object('privileges', ${rights('c.relacl', 'c.relowner', 'none')},
  'is', case c.relkind when 'm' then 'materialized' else 'plain' end, 'query', pg_catalog.pg_get_viewdef(c.oid),
  'options', case when c.relkind = 'v' then (select pg_catalog.jsonb_agg(o order by o collate "C") from pg_catalog.unnest(c.reloptions) o) end,
  'columns', (select pg_catalog.jsonb_agg(pg_catalog.quote_ident(a.attname) || ' ' || a.type order by a.attnum) from columns a where a.attrelid = c.oid)) from relations c where c.relkind in ('v', 'm')
union all select 'function', p.nspname::text, '', p.proname::text || '(' || pg_catalog.pg_get_function_identity_arguments(p.oid) || ')', p.oid, pg_catalog.jsonb_build_object('arguments', pg_catalog.pg_get_function_identity_arguments(p.oid), 'privileges', ${rights('p.proacl', 'p.proowner', 'execute')},
  'is', case p.prokind when 'f' then 'function' when 'p' then 'procedure' when 'a' then 'aggregate' else 'window' end, 'returns', pg_catalog.pg_get_function_result(p.oid),
  'definition', case p.prokind when 'a' then (select pg_catalog.jsonb_strip_nulls(pg_catalog.jsonb_build_object('sfunc', g.aggtransfn::pg_catalog.regproc::text, 'stype', pg_catalog.format_type(g.aggtranstype, null), 'final', nullif(g.aggfinalfn::pg_catalog.regproc::text, '-'),
    'combine', nullif(g.aggcombinefn::pg_catalog.regproc::text, '-'), 'initial', g.agginitval))::text from pg_catalog.pg_aggregate g where g.aggfnoid = p.oid) else pg_catalog.pg_get_functiondef(p.oid) end) from functions p
union all select 'constraint', c.nspname::text, c.relname::text, k.conname::text, k.oid, pg_catalog.jsonb_build_object('definition', pg_catalog.pg_get_constraintdef(k.oid),
  'switched off', k.contype = 'f' and exists (select from pg_catalog.pg_trigger t where t.tgconstraint = k.oid and t.tgenabled = 'D'))
  from pg_catalog.pg_constraint k join relations c on c.oid = k.conrelid where k.contype in ('c', 'f', 'p', 'u', 'x') and k.conparentid = 0
union all select 'index', c.nspname::text, c.relname::text, x.relname::text, x.oid, pg_catalog.jsonb_build_object('definition', pg_catalog.pg_get_indexdef(x.oid), 'valid', i.indisvalid)
  from pg_catalog.pg_index i join relations c on c.oid = i.indrelid join pg_catalog.pg_class x on x.oid = i.indexrelid
  where not exists (select from pg_catalog.pg_constraint k where k.conindid = i.indexrelid and k.contype in ('p', 'u', 'x') and k.conrelid = i.indrelid)
union all select 'trigger', c.nspname::text, c.relname::text, t.tgname::text, t.oid, pg_catalog.jsonb_build_object('definition', pg_catalog.pg_get_triggerdef(t.oid),
  'enabled', case t.tgenabled when 'O' then 'yes' when 'D' then 'no' when 'R' then 'on a replica' else 'always' end) from pg_catalog.pg_trigger t join relations c on c.oid = t.tgrelid where not t.tgisinternal and t.tgparentid = 0
union all select 'rule', c.nspname::text, c.relname::text, r.rulename::text, r.oid, pg_catalog.jsonb_build_object('definition', pg_catalog.pg_get_ruledef(r.oid),
  'enabled', case r.ev_enabled when 'O' then 'yes' when 'D' then 'no' when 'R' then 'on a replica' else 'always' end) from pg_catalog.pg_rewrite r join relations c on c.oid = r.ev_class where r.rulename <> '_RETURN'
union all select 'policy', c.nspname::text, c.relname::text, p.polname::text, p.oid, pg_catalog.jsonb_build_object('command', case p.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete' else 'all' end,
  'permissive', p.polpermissive, 'roles', (select pg_catalog.jsonb_agg(x.who order by x.who collate "C") from (select case o when 0 then 'public' else pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(o)) end as who from pg_catalog.unnest(p.polroles) o) x),
  'using', pg_catalog.pg_get_expr(p.polqual, p.polrelid), 'check', pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid)) from pg_catalog.pg_policy p join relations c on c.oid = p.polrelid
union all select 'event trigger', '', '', e.evtname::text, e.oid, pg_catalog.jsonb_build_object('event', e.evtevent, 'tags', pg_catalog.to_jsonb(e.evttags), 'function', e.evtfoid::pg_catalog.regproc::text,
  'enabled', case e.evtenabled when 'O' then 'yes' when 'D' then 'no' when 'R' then 'on a replica' else 'always' end) from pg_catalog.pg_event_trigger e
  where not exists (select from members m where m.classid = 'pg_catalog.pg_event_trigger'::pg_catalog.regclass and m.objid = e.oid)
union all select 'default privileges', coalesce(n.nspname, '')::text, '', case d.kind when 'r' then 'tables' when 'S' then 'sequences' when 'f' then 'functions' when 'T' then 'types' when 'n' then 'schemas' else 'large objects' end, 0::pg_catalog.oid,
  pg_catalog.jsonb_build_object('privileges', d.privileges) from (select a.defaclnamespace as space, a.defaclobjtype as kind, pg_catalog.to_jsonb(coalesce(pg_catalog.array_agg(distinct g.what collate "C") filter (where g.what is not null), '{}')) as privileges from pg_catalog.pg_default_acl a
    left join lateral pg_catalog.jsonb_array_elements_text(${rights('a.defaclacl', 'a.defaclrole', 'none')}) g (what) on true group by 1, 2) d left join pg_catalog.pg_namespace n on n.oid = d.space
${
  comments
    ? `union all select 'comment', '', '', o.type || ' ' || o.identity, 0::pg_catalog.oid, pg_catalog.jsonb_build_object('text', d.description) from (
  select d.* from pg_catalog.pg_description d where (d.classoid = 'pg_catalog.pg_class'::pg_catalog.regclass and d.objoid in (select oid from relations union all select i.indexrelid from pg_catalog.pg_index i join relations c on c.oid = i.indrelid))
    or (d.classoid = 'pg_catalog.pg_proc'::pg_catalog.regclass and d.objoid in (select oid from functions)) or (d.classoid = 'pg_catalog.pg_type'::pg_catalog.regclass and d.objoid in (select oid from types))
    or (d.classoid = 'pg_catalog.pg_namespace'::pg_catalog.regclass and d.objoid in (select oid from schemas where nspname <> 'public'))
    or (d.classoid = 'pg_catalog.pg_constraint'::pg_catalog.regclass and d.objoid in (select k.oid from pg_catalog.pg_constraint k join relations c on c.oid = k.conrelid))
    or (d.classoid = 'pg_catalog.pg_trigger'::pg_catalog.regclass and d.objoid in (select t.oid from pg_catalog.pg_trigger t join relations c on c.oid = t.tgrelid))
  ) d cross join lateral pg_catalog.pg_identify_object(d.classoid, d.objoid, d.objsubid) o`
    : ''
}) u`;
}
