import type { Connection } from './connection.ts';
import { unfitness } from './database.ts';
import { identifier, literal } from './quote.ts';

/** What CREATE DATABASE … TEMPLATE leaves behind: it belongs to the server, not to what is in the database. */
export interface DatabaseSettings {
  comment: string | null;
  /** Null: the default rights. */
  grants: { grantee: string | null; privilege: string; grantable: boolean }[] | null;
  owner: string;
  /** Our user may do what its owner may, copy it for instance. */
  owned: boolean;
  /** Why the server does not copy it; null when it does. */
  unfit: string | null;
  settings: { role: string | null; name: string; value: string }[];
}

/** Reads it of a database; undefined when that is not there. */
export async function readDatabaseSettings(
  connection: Connection,
  database: string,
): Promise<DatabaseSettings | undefined> {
  const [found] = await connection.query<DatabaseSettings>(
    `select pg_catalog.shobj_description(d.oid, 'pg_database') as comment, pg_catalog.pg_get_userbyid(d.datdba)::text as owner,
  pg_catalog.pg_has_role(d.datdba, 'USAGE') as owned, ${unfitness(connection)} as unfit,
  case when d.datacl is not null then coalesce((select json_agg(json_build_object(
    'grantee', case when a.grantee <> 0 then pg_catalog.pg_get_userbyid(a.grantee) end, 'privilege', a.privilege_type, 'grantable', a.is_grantable))
    from pg_catalog.aclexplode(d.datacl) a), '[]') end as grants,
  coalesce((select json_agg(json_build_object('role', case when s.setrole <> 0 then pg_catalog.pg_get_userbyid(s.setrole) end,
    'name', split_part(c, '=', 1), 'value', substr(c, strpos(c, '=') + 1)))
    from pg_catalog.pg_db_role_setting s, unnest(s.setconfig) c where s.setdatabase = d.oid), '[]') as settings
from pg_catalog.pg_database d where d.datname = ${literal(database)}`,
  );
  return found;
}

/** The statements that give it to another database of the same owner; to be run in one transaction. */
export function applyDatabaseSettings(
  database: string,
  { comment, grants, owner, settings }: DatabaseSettings,
): string[] {
  const on = `on database ${identifier(database)}`;
  const said = comment === null ? [] : [`comment ${on} is ${literal(comment)}`];
  const rights = grants
    ? [
        `revoke all ${on} from public, ${identifier(owner)}`,
        ...grants.map(
          ({ grantee, privilege, grantable }) =>
            `grant ${privilege} ${on} to ${grantee === null ? 'public' : identifier(grantee)}${grantable ? ' with grant option' : ''}`,
        ),
      ]
    : [];
  // A path in force would be that of the statements behind it.
  const pathLast = settings.toSorted((a, b) => Number(isPath(a)) - Number(isPath(b)));
  const set = pathLast.flatMap(({ role, name, value }) => {
    const whose = role === null ? 'database' : `role ${identifier(role)} in database`;
    const setting = name.split('.').map(identifier).join('.');
    // In force, it would take us the right to what comes next.
    if (name === 'role') return [`alter ${whose} ${identifier(database)} set role = ${literal(value)}`];
    // From the current value, because how a value must be quoted differs from setting to setting.
    return [
      `select pg_catalog.set_config(${literal(name)}, ${literal(value)}, true)`,
      `alter ${whose} ${identifier(database)} set ${setting} from current`,
    ];
  });
  return [...said, ...rights, ...set];
}

function isPath({ name }: DatabaseSettings['settings'][number]): boolean {
  return name === 'search_path';
}
