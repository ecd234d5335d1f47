import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { Config } from '../../config/define.ts';
import { MpmError } from '../../errors.ts';
import { readFolder } from '../../engine/source/files.ts';
import { arrange } from '../../engine/source/layout.ts';
import type { HistoryTable } from '../../engine/history/history.ts';
import { type Attempt, attemptUp, type MigrateOptions, withRetries } from '../../engine/apply/migrate.ts';
import type { Migration } from '../../engine/migration.ts';
import { type MigrationCache, readListed } from '../../engine/source/source.ts';
import { type DatabaseTarget, withConnection } from '../../postgres/connect.ts';
import { identifier, literal } from '../../postgres/quote.ts';

/**
 * The seeds: files like migrations, whose number is optional (those without come first, by name), that run once
 * in a new tenant after its migrations. No folder, no seeds.
 * @throws MpmError that names every problem of the folder at once
 */
export async function readSeeds(config: Config, cache: MigrationCache): Promise<readonly Migration[]> {
  const { seeds: folder, order } = config.migrations;
  if (!existsSync(folder)) return [];
  const content = readFolder(folder);
  const list = (sameVersion: readonly string[]) =>
    arrange(folder, content.paths, { order, sameVersion, unnumbered: [] }, () => true);
  // Their numbers are an order, and no versions: two may be equal.
  const listing = list(list([]).migrations.map(({ name }) => name));
  const problems = [...content.problems, ...listing.problems];
  for (const { downFile } of listing.migrations) {
    if (downFile === undefined) continue;
    const options = { subject: join(folder, downFile), hint: 'remove it, or move it to another folder' };
    problems.push(new MpmError('MIGRATION_INVALID', `${downFile}: a seed can't be reverted`, options));
  }
  return readListed(folder, { ...listing, problems }, { sourceOf: () => 'core', unphased: 'seeds' }, cache);
}

/** Runs the seeds that a database has not had, each in a transaction with its own row. A failure is in the result. */
export async function runSeeds(
  target: DatabaseTarget,
  seeds: readonly Migration[],
  options: MigrateOptions,
): Promise<Attempt> {
  const own: MigrateOptions = { ...options, history: seedTable(options.history), stamp: false };
  const attempt = await withRetries(own, () => attemptUp(target, { migrations: seeds }, own));
  if (!attempt.error) await listReferenceTables(target, options.history);
  return attempt;
}

function seedTable({ schema, table }: HistoryTable): HistoryTable {
  return { schema, table: `${table}_seeds` };
}

/**
 * Writes down which tables hold reference data, so that tools can tell them from a tenant's own: in a tenant that
 * nobody has used yet it is every table with a row. Beside the history, where no comparison of schemas looks.
 */
async function listReferenceTables(target: DatabaseTarget, { schema, table }: HistoryTable): Promise<void> {
  const list = `${identifier(schema)}.${identifier(`${table}_reference`)}`;
  await withConnection(target, async (connection) => {
    const tables = await connection.query<{ schema: string; name: string }>(
      `create table if not exists ${list} (table_schema text, table_name text, primary key (table_schema, table_name));
select n.nspname::text as schema, c.relname::text as name from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'p') and not c.relispartition and c.relpersistence = 'p'
  and n.nspname !~ '^pg_' and n.nspname not in ('information_schema', ${literal(schema)})`,
    );
    const filled = tables.map(
      (each) =>
        `select ${literal(each.schema)}, ${literal(each.name)} where exists (select from ${identifier(each.schema)}.${identifier(each.name)})`,
    );
    if (filled.length) {
      await connection.query(`insert into ${list} ${filled.join('\nunion all ')}\non conflict do nothing`);
    }
  });
}
