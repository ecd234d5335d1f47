import type { Central } from '../central/central.ts';
import { MpmError } from '../errors.ts';
import type { Connection } from '../postgres/connection.ts';
import { databaseExists } from '../postgres/database.ts';
import { literal } from '../postgres/quote.ts';
import type { Blueprint } from './blueprint.ts';
import { slugOf } from './name.ts';
import { findTemplate, type Template } from './template.ts';

/** What a new tenant's server has. */
export interface Surroundings {
  /** Of the databases' names that could be chosen, those that are taken. */
  existing: ReadonlySet<string>;
  /** Looked for while the tenant is registered: until then the connection is in use. */
  template: Promise<Template | undefined>;
}

/**
 * Looks at the server before a tenant is registered.
 * @throws MpmError DATABASE_EXISTS when the database that was asked for is there
 */
export async function lookAround(
  connection: Connection,
  central: Promise<Central>,
  wanted: { name: string; database: string | undefined; server: string; fromTemplate: boolean },
  files: Promise<Blueprint>,
): Promise<Surroundings> {
  const { name, database, server, fromTemplate } = wanted;
  if (database !== undefined) await refuseExisting(connection, database, server);
  const existing = database === undefined ? await namesLike(connection, slugOf(name)) : new Set<string>();
  const template = files.then(async (blueprint) =>
    fromTemplate ? findTemplate(connection, (await central).config, blueprint) : undefined,
  );
  template.catch(() => undefined);
  return { existing, template };
}

async function refuseExisting(connection: Connection, database: string, server: string): Promise<void> {
  if (!(await databaseExists(connection, database))) return;
  throw new MpmError('DATABASE_EXISTS', `database "${database}" exists already on server "${server}"`, {
    subject: database,
    hint: 'It was left as it is. Give another name with --database.',
  });
}

/** Of the names that could be chosen for a slug, those that the server has. */
async function namesLike(connection: Connection, slug: string): Promise<Set<string>> {
  const found = await connection.query<{ name: string }>(
    `select datname::text as name from pg_catalog.pg_database where pg_catalog.starts_with(datname::text, ${literal(slug)})`,
  );
  return new Set(found.map(({ name }) => name));
}
