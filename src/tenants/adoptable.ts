import type { Config } from '../config/define.ts';
import { MpmError } from '../errors.ts';
import { isAdoptable } from '../dialects/adopt.ts';
import { detectTool } from '../dialects/detect.ts';
import type { ToolName } from '../dialects/tool-names.ts';
import { readRows, readState } from '../engine/history/read.ts';
import type { Migration } from '../engine/migration.ts';
import type { Connection } from '../postgres/connection.ts';
import { lossOf, withConnection } from '../postgres/connect.ts';
import { directUrlOf } from './server.ts';

/** What a database without a row holds. */
export interface DatabaseContents {
  /**
   * `history`: ours; `tool`: another tool's history; `tables`: something, and no history; `empty`: nothing; `central`: a
   * central database.
   */
  holds: 'history' | 'tool' | 'tables' | 'empty' | 'central';
  /** Whose history it is; only where another tool has one. */
  tool?: ToolName;
  /** How many migrations its history holds. */
  applied: number;
  /** At least one of them is among this product's. */
  ours: boolean;
  bytes: number;
  /** Stays when the database is renamed. */
  oid: string;
}

/**
 * Looks into a database that may become a tenant's; changes nothing there.
 * @param migrations this product's
 * @throws MpmError DATABASE_MISSING, CONNECTION, HISTORY_UNTRUSTED, …; ADOPTION for another tool's table that can't be
 *   taken as it is
 */
export async function readContents(
  config: Config,
  { server, database }: { server: string; database: string },
  migrations: readonly Migration[],
): Promise<DatabaseContents> {
  const { connectTimeout } = config.pace;
  const url = directUrlOf(config, server);
  const target = { url, database, applicationName: 'mpm-migrate/adopt', connectTimeout };
  return withConnection(target, async (connection) => {
    connection.describeLoss = lossOf(`database "${database}"`);
    const [facts] = await connection.query<Pick<DatabaseContents, 'bytes' | 'oid'>>(
      `select oid::text as oid, pg_catalog.pg_database_size(oid)::float8 as bytes
from pg_catalog.pg_database where datname = pg_catalog.current_database()`,
    );
    return { ...(await holdings(connection, config, migrations)), bytes: 0, oid: '', ...facts };
  });
}

async function holdings(
  connection: Connection,
  { history }: Config,
  migrations: readonly Migration[],
): Promise<Pick<DatabaseContents, 'holds' | 'tool' | 'applied' | 'ours'>> {
  const found = await readState(connection, { history, central: true });
  const { central, count, objects, bootstrapped } = found;
  if (central) return { holds: 'central', applied: count, ours: false };
  if (count > 0 || found.emptied) {
    const names = new Set(migrations.map(({ name }) => name));
    const rows = await readRows(connection, history);
    return {
      holds: 'history',
      applied: count,
      ours: !rows.length || rows.some(({ name }) => names.has(name)),
    };
  }
  const other = objects.length ? await detectTool(connection) : undefined;
  if (other) {
    const { tool, applied } = other;
    return { holds: 'tool', tool, applied: applied.length, ours: isAdoptable(migrations, other) };
  }
  return { holds: objects.length || bootstrapped ? 'tables' : 'empty', applied: 0, ours: false };
}

/** Whether the error says something about this one database, and not about its server. */
export function isMissing(error: unknown): boolean {
  return error instanceof MpmError && error.code === 'DATABASE_MISSING';
}
