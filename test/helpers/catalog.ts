import { rowsIn } from './engine.ts';

/**
 * Everything of a database that one could tell it from another by, a line each: schema, rows of sequences, rights,
 * comments, what belongs to the database as such; also that of the history's schema, but not what is in there.
 */
export async function catalogOf(url: string): Promise<string[]> {
  const own = `n.nspname !~ '^pg_' and n.nspname <> 'information_schema'`;
  const rows = await rowsIn<{ line: string }>(
    url,
    `select format('schema %s %s', n.nspname, n.nspacl) as line from pg_namespace n where ${own}
union all select format('relation %s.%s %s %s %s %s %s', n.nspname, c.relname, c.relkind, c.relpersistence, c.relrowsecurity, c.relacl, pg_get_userbyid(c.relowner)) from pg_class c join pg_namespace n on n.oid = c.relnamespace where ${own}
union all select format('column %s.%s %s %s %s %s %s %s %s', n.nspname, c.relname, a.attnum, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, pg_get_expr(d.adbin, d.adrelid), a.attacl) from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum where ${own} and a.attnum > 0
union all select format('constraint %s %s %s', c.conrelid::regclass, c.conname, pg_get_constraintdef(c.oid)) from pg_constraint c join pg_namespace n on n.oid = c.connamespace where ${own}
union all select format('index %s %s', i.indisvalid, pg_get_indexdef(i.indexrelid)) from pg_index i join pg_class c on c.oid = i.indexrelid join pg_namespace n on n.oid = c.relnamespace where ${own}
union all select format('view %s %s', c.oid::regclass, pg_get_viewdef(c.oid)) from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relkind in ('v', 'm') and ${own}
union all select format('function %s %s', pg_get_functiondef(p.oid), p.proacl) from pg_proc p join pg_namespace n on n.oid = p.pronamespace where p.prokind in ('f', 'p') and ${own}
union all select format('trigger %s', pg_get_triggerdef(t.oid)) from pg_trigger t where not t.tgisinternal
union all select format('event trigger %s %s', e.evtname, e.evtevent) from pg_event_trigger e
union all select format('policy %s %s', p.tablename, p) from pg_policies p
union all select format('enum %s %s', e.enumtypid::regtype, e.enumlabel) from pg_enum e
union all select format('extension %s %s', e.extname, e.extversion) from pg_extension e
union all select format('default rights %s', d.defaclacl) from pg_default_acl d
union all select format('publication %s', p.pubname) from pg_publication p
union all select format('sequence %s', s) from pg_sequences s
union all select format('comment %s %s %s', d.classoid::regclass, pg_describe_object(d.classoid, d.objoid, d.objsubid), d.description) from pg_description d join pg_class c on c.oid = d.objoid join pg_namespace n on n.oid = c.relnamespace where d.classoid = 'pg_class'::regclass and ${own}
union all select format('database %s %s %s %s %s %s', d.datacl, d.datallowconn, d.datistemplate, d.datconnlimit, d.datcollate, pg_get_userbyid(d.datdba)) from pg_database d where datname = current_database()
union all select format('comment of the database %s', shobj_description(d.oid, 'pg_database')) from pg_database d where datname = current_database()
union all select format('setting %s %s', s.setrole, array(select each from unnest(s.setconfig) each order by each)) from pg_db_role_setting s join pg_database d on d.oid = s.setdatabase where d.datname = current_database()
order by 1`,
  );
  return rows.map(({ line }) => line);
}
