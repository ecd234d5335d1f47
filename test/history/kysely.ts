/** Runs a folder by Kysely's own migrator, in a process of its own: `jiti kysely.ts URL FOLDER up|down`. */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createJiti } from 'jiti';
import {
  Kysely,
  type Migration,
  type MigrationProvider,
  Migrator,
  NO_MIGRATIONS,
  PostgresDialect,
} from 'kysely';
import pg from 'pg';

const [url = '', folder = '', direction = 'up'] = process.argv.slice(2);
const jiti = createJiti(import.meta.url, {
  alias: { kysely: fileURLToPath(import.meta.resolve('kysely')) },
  interopDefault: false,
});
const db = new Kysely<unknown>({
  dialect: new PostgresDialect({ pool: new pg.Pool({ connectionString: url }) }),
});
// As its FileMigrationProvider, which imports without jiti.
const provider: MigrationProvider = {
  async getMigrations() {
    const migrations: Record<string, Migration> = {};
    for (const file of await readdir(folder)) {
      if (!/(?<!\.d)\.[cm]?[jt]s$/.test(file)) continue;
      const module = await jiti.import<Partial<Migration>>(join(folder, file));
      if (module.up) migrations[file.slice(0, file.lastIndexOf('.'))] = module as Migration;
    }
    return migrations;
  },
};
const migrator = new Migrator({ db, provider });
const started = performance.now();
const { error, results = [] } =
  direction === 'up' ? await migrator.migrateToLatest() : await migrator.migrateTo(NO_MIGRATIONS);
const ms = Math.round(performance.now() - started);
await db.destroy();
const failed = results.find(({ status }) => status === 'Error')?.migrationName;
const done = results.filter(({ status }) => status === 'Success').map(({ migrationName }) => migrationName);
const message = error instanceof Error ? error.message : error && JSON.stringify(error);
process.stdout.write(JSON.stringify({ done, ms, failed, message }));
