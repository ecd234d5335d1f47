import {
  type CompiledQuery,
  type DatabaseConnection,
  type Driver,
  Kysely,
  PostgresDialect,
  type PostgresDialectConfig,
  PostgresDriver,
  PostgresQueryCompiler,
  type QueryCompiler,
  type QueryResult,
} from 'kysely';
import type pg from 'pg';
import { MpmError } from '../errors.ts';

type RunQuery = (sql: string, values: unknown[] | undefined) => Promise<pg.QueryResult>;

/** Follows what is done with a Kysely. */
export interface QueryWatch {
  /** Called for everything that was turned into SQL, to be sent or not. */
  compiled(query: CompiledQuery): void;
  /** Called in place of each query; `send` sends it. */
  send<R>(query: CompiledQuery, send: () => Promise<R>): Promise<R>;
}

export interface KyselyOptions {
  /** What would end the surrounding transaction is refused before it is sent, as Kysely's own migrator does. */
  inTransaction?: boolean;
  watch?: QueryWatch;
}

/** Kysely whose every query goes through `run`. */
export function kyselyOn<DB>(run: RunQuery, options: KyselyOptions): Kysely<DB> {
  const query = async (sql: string, values: unknown[]) => {
    if (options.inTransaction) refuseTransactionControl(sql);
    return run(sql, values.length ? values : undefined);
  };
  const pool = { connect: async () => ({ query, release: () => undefined }), end: async () => undefined };
  const config = { pool } as unknown as PostgresDialectConfig;
  return new Kysely<DB>({ dialect: new LentDialect(config, options) });
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

class LentDialect extends PostgresDialect {
  readonly #config: PostgresDialectConfig;
  readonly #options: KyselyOptions;

  constructor(config: PostgresDialectConfig, options: KyselyOptions) {
    super(config);
    this.#config = config;
    this.#options = options;
  }

  override createDriver(): Driver {
    return new LentDriver(this.#config, this.#options);
  }

  override createQueryCompiler(): QueryCompiler {
    const { watch } = this.#options;
    return watch ? new WatchedCompiler(watch) : super.createQueryCompiler();
  }
}

class LentDriver extends PostgresDriver {
  readonly #options: KyselyOptions;

  constructor(config: PostgresDialectConfig, options: KyselyOptions) {
    super(config);
    this.#options = options;
  }

  override async acquireConnection(): Promise<DatabaseConnection> {
    const connection = await super.acquireConnection();
    const { watch } = this.#options;
    return watch ? new WatchedConnection(connection, watch) : connection;
  }

  /** It stays lent until Kysely is done with. */
  override async releaseConnection(): Promise<void> {}

  override async beginTransaction(...args: Parameters<PostgresDriver['beginTransaction']>): Promise<void> {
    if (this.#options.inTransaction) throw transactionControl('transaction()');
    await super.beginTransaction(...args);
  }
}

class WatchedCompiler extends PostgresQueryCompiler {
  readonly #watch: QueryWatch;

  constructor(watch: QueryWatch) {
    super();
    this.#watch = watch;
  }

  override compileQuery(...args: Parameters<PostgresQueryCompiler['compileQuery']>): CompiledQuery {
    const query = super.compileQuery(...args);
    this.#watch.compiled(query);
    return query;
  }
}

class WatchedConnection implements DatabaseConnection {
  readonly #connection: DatabaseConnection;
  readonly #watch: QueryWatch;

  constructor(connection: DatabaseConnection, watch: QueryWatch) {
    this.#connection = connection;
    this.#watch = watch;
  }

  executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
    return this.#watch.send(query, () => this.#connection.executeQuery<R>(query));
  }

  /** Read as a whole: a cursor would need a transaction, and a package that nobody else here does. */
  async *streamQuery<R>(query: CompiledQuery): AsyncIterableIterator<QueryResult<R>> {
    yield await this.executeQuery<R>(query);
  }
}

const CONTROL =
  /^(?:\s|--[^\n]*\n|\/\*[\s\S]*?\*\/)*(begin|start\s+transaction|commit|end|abort|rollback(?!\s+(?:work\s+|transaction\s+)?to\b)|prepare\s+transaction)\b/i;

function refuseTransactionControl(sql: string): void {
  const found = CONTROL.exec(sql)?.[1];
  if (found) throw transactionControl(found.toLowerCase());
}

function transactionControl(what: string): MpmError {
  return new MpmError(
    'MIGRATION_INVALID',
    `${what} inside a migration, which already runs in a transaction`,
    {
      hint: 'Remove it (a savepoint is fine), or export const config = { transaction: false } to run outside one.',
    },
  );
}
