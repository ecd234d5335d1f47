import { setTimeout as sleep } from 'node:timers/promises';
import { MpmError } from '../errors.ts';
import type { Connection } from './connection.ts';
import { identifier, literal } from './quote.ts';
import { databaseFields, isServerError, type ServerError, SQLSTATE, sqlstateOf } from './sqlstate.ts';

/** PostgreSQL cuts longer names off silently (NAMEDATALEN - 1). */
export const NAME_BYTES = 63;

const SYSTEM_DATABASES = ['template0', 'template1', 'postgres'];

/** Why a tenant's database cannot have this name; undefined when it can. `central` is never a tenant's. */
export function databaseNameProblem(name: string, central?: string): string | undefined {
  if (name === '') return 'it is empty';
  if (name.includes('\0')) return 'it contains a NUL character';
  if (!isWellFormed(name)) return "it isn't valid Unicode";
  const bytes = Buffer.byteLength(name);
  if (bytes > NAME_BYTES) return `it has ${bytes} bytes, and PostgreSQL's limit is ${NAME_BYTES}`;
  if (SYSTEM_DATABASES.includes(name)) return 'PostgreSQL reserves it';
  if (name === central) return 'it is the central database';
  return undefined;
}

/** @throws MpmError DATABASE_NAME */
export function checkDatabaseName(name: string, central?: string): void {
  const problem = databaseNameProblem(name, central);
  if (!problem) return;
  throw new MpmError(
    'DATABASE_NAME',
    `${JSON.stringify(name)} can't be the name of a tenant's database: ${problem}`,
    {
      subject: name,
      hint: `Choose another name with --database: 1 to ${NAME_BYTES} bytes; quotes, spaces, and capitals are kept.`,
    },
  );
}

/** A lone surrogate would reach the server as U+FFFD, which is another name. */
function isWellFormed(text: string): boolean {
  return !/\p{Surrogate}/u.test(text);
}

export interface CreateDatabaseOptions {
  /** By default template0, with the encoding and the locale that template1 has. */
  template?: string | undefined;
  owner?: string | undefined;
  /** Roles that may connect to it, and nobody else but its owner; by default everybody may. */
  connect?: readonly string[];
}

/**
 * Creates a database; never in a transaction. Waits a little when the template is in use; template0 never is, nor does
 * an upgrade of a collation make it unfit (fleet 46).
 * @throws MpmError DATABASE_EXISTS (also when another process was faster), DATABASE_IN_USE, PROVISION_FAILED
 */
export async function createDatabase(
  connection: Connection,
  name: string,
  options: CreateDatabaseOptions = {},
): Promise<void> {
  const { template = 'template0' } = options;
  const like = options.template === undefined ? await localeClause(connection, 'template1') : '';
  const owner = options.owner === undefined ? '' : ` owner ${identifier(options.owner)}`;
  const sql = `create database ${identifier(name)}${owner} template ${identifier(template)}${like}`;
  try {
    await patiently(() => connection.alone(sql));
  } catch (error) {
    throw createError(error, name, template);
  }
  if (options.connect?.length) await restrict(connection, name, options.connect);
}

/** Columns of pg_database that differ from version to version. */
type LocaleColumns = Record<string, string | number | null>;

/** What makes a copy of template0 have the encoding and the locale of another database; empty where it has them. */
export async function localeClause(connection: Connection, database: string): Promise<string> {
  const rows = await connection.query<{ name: string; encoding: string; columns: LocaleColumns }>(
    `select datname::text as name, pg_catalog.pg_encoding_to_char(encoding)::text as encoding, pg_catalog.to_jsonb(d) as columns
from pg_catalog.pg_database d where datname::text in ('template0', ${literal(database)})`,
  );
  const clauseOf = (name: string) => {
    const row = rows.find((each) => each.name === name);
    return row && clauses(row.encoding, row.columns);
  };
  const wanted = clauseOf(database);
  return wanted === undefined || wanted === clauseOf('template0') ? '' : wanted;
}

function clauses(encoding: string, columns: LocaleColumns): string {
  const text = (...names: string[]) => names.map((name) => columns[name]).find((value) => value != null);
  const provider = { c: 'libc', i: 'icu', b: 'builtin' }[String(columns['datlocprovider'])];
  return Object.entries({
    encoding,
    lc_collate: text('datcollate'),
    lc_ctype: text('datctype'),
    locale_provider: provider,
    // Null, and left out, where the provider has none.
    [`${provider}_locale`]: text('datlocale', 'daticulocale'),
    icu_rules: text('daticurules'),
  })
    .flatMap(([name, value]) => (value == null ? [] : [` ${name} ${literal(String(value))}`]))
    .join('');
}

async function restrict(connection: Connection, name: string, roles: readonly string[]): Promise<void> {
  try {
    await connection.query(restrictions(name, roles).join(';\n'));
  } catch (error) {
    await dropDatabase(connection, name);
    if (!isServerError(error)) throw error;
    throw new MpmError('PROVISION_FAILED', `can't set who can connect to "${name}": ${error.message}`, {
      subject: name,
      cause: error,
      database: databaseFields(error),
      hint: 'Fix databases.connect in the configuration: its roles must exist on the server.',
    });
  }
}

/** The statements after which only these roles, and the owner, may connect to a database (engine 36). */
export function restrictions(name: string, roles: readonly string[]): string[] {
  const on = `on database ${identifier(name)}`;
  return [
    `revoke connect, temporary ${on} from public`,
    ...(roles.length ? [`grant connect ${on} to ${roles.map(identifier).join(', ')}`] : []),
  ];
}

/**
 * Drops a database if it is there.
 * @param options.disconnect ends other sessions in it first; without, they are an error
 * @throws MpmError DATABASE_IN_USE; DROP_FAILED for what else the server says, after which it may be that the
 *   database can only be dropped again
 */
export async function dropDatabase(
  connection: Connection,
  name: string,
  options: { disconnect?: boolean } = {},
): Promise<void> {
  const force = options.disconnect ? ' with (force)' : '';
  try {
    await patiently(() => connection.alone(`drop database if exists ${identifier(name)}${force}`));
  } catch (error) {
    if (sqlstateOf(error) === SQLSTATE.objectInUse) throw inUseError(name, error);
    throw isServerError(error) ? dropError(name, error) : error;
  }
}

function dropError(name: string, error: ServerError): MpmError {
  return new MpmError('DROP_FAILED', `can't drop database "${name}": ${error.message}`, {
    subject: name,
    cause: error,
    database: databaseFields(error),
    hint:
      error.code === SQLSTATE.insufficientPrivilege
        ? `Only its owner can drop it: alter database "${name}" owner to …`
        : 'Fix what the server reports, and then try again. Its log may say more; a full disk is the most common cause.',
  });
}

function inUseError(name: string, error: unknown): MpmError {
  return new MpmError('DATABASE_IN_USE', `database "${name}" is in use: ${detailOf(error)}`, {
    subject: name,
    cause: error,
    hint: 'End those sessions, and then try again.',
  });
}

/** What pg_database says of one database. */
export interface DatabaseFacts {
  name: string;
  /** Stays with the database when it is renamed, and never comes back when it is dropped. */
  oid: string;
  /** False when a DROP DATABASE was interrupted: it can only be dropped again. */
  valid: boolean;
  /** Why it should be made anew, where it can be; else null. */
  unfit: string | null;
}

/** SQL for {@link DatabaseFacts.unfit}, of a row of pg_database: what CREATE DATABASE would refuse as a template. */
export function unfitness({ version }: Connection): string {
  // Versions of collations are kept since PostgreSQL 15.
  const collation =
    version < 15
      ? ''
      : ` when datcollversion is distinct from pg_catalog.pg_database_collation_actual_version(oid) and datcollversion is not null
    then pg_catalog.format('its collation is of version %s, and the server has %s', datcollversion, coalesce(pg_catalog.pg_database_collation_actual_version(oid), 'none'))`;
  return `case when datconnlimit = -2 then 'dropping it was interrupted'${collation} end`;
}

/** Those of the given databases that exist. */
export async function findDatabases(
  connection: Connection,
  names: readonly string[],
): Promise<DatabaseFacts[]> {
  const list = names.map(literal).join(', ') || 'null';
  return connection.query<DatabaseFacts>(
    `select datname::text as name, oid::text as oid, datconnlimit <> -2 as valid, ${unfitness(connection)} as unfit
from pg_catalog.pg_database where datname::text in (${list}) order by datname`,
  );
}

export async function databaseExists(connection: Connection, name: string): Promise<boolean> {
  return (await findDatabases(connection, [name])).length > 0;
}

/**
 * @param also statements that happen together with it, or not at all
 * @throws MpmError DATABASE_EXISTS when `to` is taken, DATABASE_MISSING when `from` is gone, DATABASE_IN_USE
 */
export async function renameDatabase(
  connection: Connection,
  from: string,
  to: string,
  also: readonly string[] = [],
): Promise<void> {
  const rename = `alter database ${identifier(from)} rename to ${identifier(to)}`;
  try {
    // One message is one transaction.
    await patiently(() => connection.query([rename, ...also].join(';\n')));
  } catch (error) {
    const code = sqlstateOf(error);
    if (code === SQLSTATE.unknownDatabase) {
      throw new MpmError('DATABASE_MISSING', `database "${from}" no longer exists`, {
        subject: from,
        cause: error,
      });
    }
    if (code === SQLSTATE.duplicateDatabase || code === SQLSTATE.uniqueViolation)
      throw existsError(to, error);
    if (code === SQLSTATE.objectInUse) throw inUseError(from, error);
    throw error;
  }
}

/** Ends our own user's sessions in a database, as a pooler keeps them after we have gone. */
export async function endOwnSessions(connection: Connection, database: string): Promise<void> {
  await connection.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
where datname = ${literal(database)} and usename = session_user and pid <> pg_backend_pid()`,
  );
}

/** 55006 is mostly somebody who is just leaving: PostgreSQL itself waits 5 s, then it is asked once more. */
async function patiently<T>(act: () => Promise<T>): Promise<T> {
  for (let left = 2; ; left -= 1) {
    try {
      return await act();
    } catch (error) {
      const passes =
        sqlstateOf(error) === SQLSTATE.objectInUse ||
        /tuple concurrently (updated|deleted)/.test(String(error));
      if (!passes || left === 0) throw error;
      await sleep(100 + Math.random() * 400);
    }
  }
}

function createError(error: unknown, name: string, template: string): unknown {
  if (!isServerError(error)) return error;
  const options = { subject: name, cause: error, database: databaseFields(error) };
  switch (error.code) {
    case SQLSTATE.duplicateDatabase:
    case SQLSTATE.uniqueViolation:
      return existsError(name, error);
    case SQLSTATE.objectInUse:
      return new MpmError('DATABASE_IN_USE', `the template "${template}" is in use: ${detailOf(error)}`, {
        ...options,
        hint: 'End the sessions that are connected to it, and then try again.',
      });
    case SQLSTATE.insufficientPrivilege:
      return new MpmError('PROVISION_FAILED', `can't create database "${name}": ${error.message}`, {
        ...options,
        hint: 'Let the user in this server\'s URL create databases: alter role "…" createdb;',
      });
    default:
      return new MpmError('PROVISION_FAILED', `can't create database "${name}": ${error.message}`, {
        ...options,
        hint: 'Fix what the server reports, and then try again.',
      });
  }
}

function existsError(name: string, cause: unknown): MpmError {
  return new MpmError('DATABASE_EXISTS', `database "${name}" already exists`, {
    subject: name,
    cause,
    hint: "It wasn't changed. Choose another name with --database.",
  });
}

function detailOf(error: unknown): string {
  return (isServerError(error) && error.detail) || (error instanceof Error ? error.message : String(error));
}
