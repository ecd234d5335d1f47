import { withCentral } from '../../central/central.ts';
import type { Config } from '../../config/define.ts';
import { requirePlainStatements } from '../../engine/sql/plain-statements.ts';
import { MpmError } from '../../errors.ts';
import { databaseFields, isServerError } from '../../postgres/sqlstate.ts';
import { withServer } from '../../tenants/server.ts';

/** Names of databases; what is given together adds up. */
export interface DatabaseNames {
  /** All of the server's that match: `*` is any text, `?` one character. Capitals count. */
  databases?: readonly string[];
  /** Whole names. */
  names?: readonly string[];
  /** A query of the central database whose first column is names. It only reads. */
  query?: string;
}

/**
 * The databases that are meant, each once, in the order of their names.
 * @throws MpmError USAGE when none is named, nothing matches, or the query fails or returns no names
 */
export async function namesOf(
  config: Config,
  server: string,
  { databases = [], names = [], query }: DatabaseNames,
): Promise<string[]> {
  if (!databases.length && !names.length && query === undefined) {
    throw new MpmError('USAGE', 'no databases named', {
      hint: "For all that match: mpm-migrate tenant adopt --databases 'acme_*'",
    });
  }
  const matching = databases.length ? await matchingOn(config, server, databases) : [];
  const queried = query === undefined ? [] : await namesFrom(config, query);
  const all = [...new Set([...matching, ...names, ...queried])];
  if (all.length === 0) {
    throw new MpmError('USAGE', query === undefined ? 'the list of databases is empty' : '--query: no rows', {
      hint: 'Name one database a line.',
    });
  }
  return all.toSorted((a, b) => (a < b ? -1 : 1));
}

async function matchingOn(config: Config, server: string, patterns: readonly string[]): Promise<string[]> {
  const all = await withServer(config, server, (connection) =>
    connection.query<{ name: string }>(
      "select datname::text as name from pg_catalog.pg_database where not datistemplate and datname <> 'postgres'",
    ),
  );
  return patterns.flatMap((pattern) => {
    const form = patternOf(pattern);
    const matching = all.map(({ name }) => name).filter((name) => form.test(name));
    if (matching.length) return matching;
    throw new MpmError('USAGE', `no database on server "${server}" matches ${JSON.stringify(pattern)}`, {
      subject: pattern,
      hint: '* is any text, ? is one character, capitals count. Quote it, or the shell takes it for names of files.',
    });
  });
}

function patternOf(pattern: string): RegExp {
  const parts = [...pattern].map((char) =>
    char === '*' ? '.*' : char === '?' ? '.' : char.replaceAll(/[\\^$.*+?()[\]{}|/-]/gu, String.raw`\$&`),
  );
  return new RegExp(`^${parts.join('')}$`, 'su');
}

async function namesFrom(config: Config, query: string): Promise<string[]> {
  requirePlainStatements(query, '--query', { write: false });
  const tables = await withCentral(config, async ({ connection }) => {
    try {
      await connection.query('begin isolation level repeatable read read only');
      return await connection.read(query);
    } catch (error) {
      if (!isServerError(error)) throw error;
      throw new MpmError('USAGE', `--query: ${error.message}`, {
        cause: error,
        database: databaseFields(error),
        hint: "It reads the central database: --query 'select database_name from shops'",
      });
    }
  });
  return tables.flatMap(({ rows }) => rows.flatMap(([name]) => (name == null ? [] : [name])));
}
