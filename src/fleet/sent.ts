import type { Config } from '../config/define.ts';
import { asMpmError, type MpmError } from '../errors.ts';
import type { Migration } from '../engine/migration.ts';
import { migrateAndSeed } from '../tenants/create/migrate-and-seed.ts';
import { inThrowaway } from '../tenants/create/throwaway.ts';

/** What a module sends, as one text; or why that is not known. */
export type SentSql = ReadonlyMap<Migration, { sql: string } | string>;

/** What databases are called in which it is found out what modules send. */
const THROWAWAY = { prefix: 'mpm_lint_', purpose: 'lint' };

/**
 * The SQL that modules send, found out by applying migrations, from the first on, to a database that is dropped
 * afterwards: on the server that `lint.server` names, or else on an embedded one, which ends with this process.
 * @param migrations in order; the last that is asked about is the last that runs
 * @param wanted which modules are asked about; of those in front of them it is known as well
 * @throws MpmError INTERRUPTED; for all else that goes wrong, the modules have it as the reason
 */
export async function findSentSql(
  config: Config,
  migrations: readonly Migration[],
  wanted: (migration: Migration) => boolean,
  { signal }: { signal?: AbortSignal | undefined } = {},
): Promise<SentSql> {
  const last = migrations.findLastIndex((migration) => migration.up.kind === 'module' && wanted(migration));
  const applied = migrations.slice(0, last + 1);
  const found = new Map<Migration, { sql: string } | string>();
  if (applied.length === 0) return found;
  const texts = new Map<string, string[]>();
  let reached = '';
  let failure: MpmError | undefined;
  try {
    await withServerFor(config, (own, server) =>
      inThrowaway(own, server, THROWAWAY, (place) =>
        migrateAndSeed(
          own,
          place,
          { migrations: applied.map(undeferred), seeds: [] },
          {
            ...(signal && { signal }),
            onMigration: ({ name }) => {
              reached = name;
            },
            onSql: (name, sql) => void texts.set(name, [...(texts.get(name) ?? []), sql]),
          },
        ),
      ),
    );
  } catch (error) {
    if (signal?.aborted) throw error;
    failure = asMpmError(error);
  }
  const failed = failure && applied.findIndex(({ name }) => name === (failure?.migration ?? reached));
  for (const [index, migration] of applied.entries()) {
    if (migration.up.kind !== 'module') continue;
    const isRun = failed === undefined || index < failed;
    const what =
      failure?.migration === migration.name ? '' : failure?.migration ? `${failure.migration}: ` : '';
    found.set(
      migration,
      isRun
        ? { sql: textOf(texts.get(migration.name)) }
        : `it can't be run for a look: ${what}${failure?.message}`,
    );
  }
  return found;
}

/** What is deferred at tenants is run here, to see it. */
function undeferred(migration: Migration): Migration {
  const { phase: _, ...options } = migration.up.options;
  return { ...migration, up: { ...migration.up, options } };
}

function textOf(sent: readonly string[] = []): string {
  return sent.map((sql) => `${sql.trimEnd().replace(/;$/, '')};\n`).join('');
}

/** On the server that `lint.server` names, or else on an embedded one, which ends with the work. */
export async function withServerFor<T>(
  config: Config,
  work: (config: Config, server: string) => Promise<T>,
): Promise<T> {
  const { lint: { server } = {} } = config;
  if (server !== undefined) return work(config, server);
  const { startEmbedded } = await import('../postgres/embedded/embedded.ts');
  const embedded = await startEmbedded();
  try {
    const { url } = embedded;
    // Nobody but us is there: no roles of the configuration, and no owners of histories.
    const own: Config = {
      ...config,
      central: { url },
      servers: { default: { name: 'default', url } },
      history: { ...config.history, owners: [] },
      databases: { connect: [] },
    };
    return await work(own, 'default');
  } finally {
    await embedded.stop();
  }
}
