import { Kysely, PostgresDialect, PostgresDriver, type PostgresDialectConfig, type Driver } from 'kysely';
import type pg from 'pg';
import { MpmError } from '../errors.ts';

type Run = (sql: string, values: unknown[] | undefined) => Promise<pg.QueryResult>;

/**
 * Kysely whose every query goes through `run`. With `inTransaction`, what would end the surrounding
 * transaction is refused before it is sent, as Kysely's own migrator does for `transaction()`.
 */
export function kyselyOn<DB>(run: Run, options: { inTransaction?: boolean }): Kysely<DB> {
  const query = async (sql: string, values: unknown[]) => {
    if (options.inTransaction) refuseTransactionControl(sql);
    return run(sql, values.length ? values : undefined);
  };
  const pool = { connect: async () => ({ query, release: () => undefined }), end: async () => undefined };
  const config = { pool } as unknown as PostgresDialectConfig;
  return new Kysely<DB>({
    dialect: options.inTransaction ? new InTransactionDialect(config) : new PostgresDialect(config),
  });
}

/** What Kysely asks of a connection that it was lent. */
export interface LentClient {
  query(sql: string, values: unknown[]): Promise<pg.QueryResult>;
  release(): void;
}

/** Kysely that borrows a connection for each query or transaction; destroying it takes nothing from others. */
export function kyselyOver<DB>(borrow: () => Promise<LentClient>): Kysely<DB> {
  const pool = { connect: borrow, end: async () => undefined };
  return new Kysely<DB>({ dialect: new PostgresDialect({ pool } as unknown as PostgresDialectConfig) });
}

class InTransactionDialect extends PostgresDialect {
  readonly #config: PostgresDialectConfig;

  constructor(config: PostgresDialectConfig) {
    super(config);
    this.#config = config;
  }

  override createDriver(): Driver {
    return new InTransactionDriver(this.#config);
  }
}

class InTransactionDriver extends PostgresDriver {
  override async beginTransaction(): Promise<void> {
    throw transactionControl('transaction()');
  }
}

const CONTROL =
  /^(?:\s|--[^\n]*\n|\/\*[\s\S]*?\*\/)*(begin|start\s+transaction|commit|end|abort|rollback(?!\s+(?:work\s+|transaction\s+)?to\b)|prepare\s+transaction)\b/i;

function refuseTransactionControl(sql: string): void {
  const found = CONTROL.exec(sql)?.[1];
  if (found) throw transactionControl(found.toLowerCase());
}

function transactionControl(what: string): MpmError {
  return new MpmError('MIGRATION_INVALID', `${what} inside a migration: it runs in a transaction already`, {
    hint: 'Take it out (a savepoint is fine), or export const config = { transaction: false } to run outside one.',
  });
}
