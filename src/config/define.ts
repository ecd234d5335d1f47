import type { Pace, Duration } from '../pace.ts';
import type { Address } from '../postgres/address.ts';
import type { ConnectionFunction } from './connection-function.ts';
import type { UrlSecret } from './secret-url.ts';

/**
 * A connection URL; or the shell command that prints it, or the file that holds it. A command runs once a run, for 10 s
 * at most, and once more when the server refuses the login.
 */
export type UrlInput = string | UrlSecret;

/** How to reach a server that hosts tenant databases: `url` or `connection`. */
export interface ServerInput {
  /** A connection URL; its database is only used to reach the server (default `postgres`). */
  url?: UrlInput;
  /**
   * Past a pooler such as PgBouncer, which keeps a connection for each database that it was asked for: where it is
   * given, everything but the sessions of an application goes there.
   */
  directUrl?: UrlInput;
  /** Called for each connection: for tokens that expire, a login of its own per tenant, TLS objects. */
  connection?: ConnectionFunction;
  /** At most so many connections of ours at once; by default a quarter of what is free, never above 32. */
  maxConnections?: number;
  /** No further tenant starts while a streaming replica is further behind. */
  maxLag?: Duration;
}

/** How to reach the central database: `url` or `connection`. */
export interface CentralInput {
  url?: UrlInput;
  /** Called for each connection; its server hosts tenants too, unless `servers.default` names another. */
  connection?: ConnectionFunction;
}

/** Which tables or which query list the tenants. By default `companies` and `company_databases`. */
export type TenantsInput =
  | {
      /** Returns `id, name, database` and, where there are, `server, status, labels` (a JSON object). */
      query: string;
    }
  | {
      /** One table of the central database, schema-qualified where needed. */
      table: string;
      /** Our word → the table's column. */
      columns: {
        id: string;
        name: string;
        database: string;
        server?: string;
        status?: string;
        labels?: string;
      };
    };

/** Which table or which query says to which tenant a user belongs. By default `database_proxies`. */
export type UsersInput =
  | {
      /** Returns the tenant's id, in one column; `$1` is the e-mail address. */
      query: string;
    }
  | {
      /** One table of the central database, schema-qualified where needed. */
      table: string;
      /** Its columns with the e-mail address (compared without regard to case) and the tenant's id. */
      columns: { email: string; tenant: string };
    };

/** The content of `mpm-migrate.config.ts`. */
export interface ConfigInput {
  central: CentralInput;
  servers?: Record<string, ServerInput | string>;
  migrations?: {
    /** Default `migrations/core`. */
    core?: string;
    /** The product's own central migrations; default `migrations/central`. */
    central?: string;
    /** A folder per tenant, named as its database; default `migrations/tenants`. */
    tenants?: string;
    /** A folder per plugin; default `migrations/plugins`. */
    plugins?: string;
    /** Run once in each new tenant, after its migrations; default `migrations/seeds`. */
    seeds?: string;
    /** Your own templates for `create`; by default the package's. */
    templates?: string;
    /**
     * What migrations are ordered by. `version` (default): the versions that their names begin with, then the rest.
     * `text`: letter by letter, as code units. `kysely`: as Kysely's migrator does, which is the same.
     */
    order?: MigrationOrder;
    /** Names of migrations that may have the same version, although it has fewer than eight digits. */
    sameVersion?: readonly string[];
    /** Names of migrations that have no number, although others in their folder have one. */
    unnumbered?: readonly string[];
  };
  tenants?: TenantsInput;
  /** For `fleet.resolve`. */
  users?: UsersInput;
  /** The connections that `fleet.connect` and `fleet.run` use. */
  sessions?: {
    /** At most so many at once, of this process to all servers; default 32. */
    connections?: number;
    /** At most so many to one tenant; default 8. */
    perTenant?: number;
    /** How long a caller waits for one before it gets SESSION_TIMEOUT; default 10s. */
    waitTimeout?: Duration;
    /** After so long without use a connection is closed; default 1min. */
    idleTimeout?: Duration;
    /**
     * How long what the central database says of a tenant is trusted when nothing is heard of a change;
     * default 10s. 0: it is asked each time.
     */
    ttl?: Duration;
    /**
     * What keeps one borrower's settings, temporary tables and session locks from the next one. `auto` (default): after
     * SQL that shows to change such state, the connection is closed when it comes back; behind a transaction pooler
     * such SQL is refused. `always`: a connection is closed after every use. `never`: it is lent on as it is.
     */
    reset?: SessionReset;
  };
  /**
   * Make new tenants from a template database, one per server; default true. `except`: names of core migrations or seeds
   * that each tenant runs for itself, with all behind them.
   */
  templates?: boolean | { except: string[] };
  /** `up` takes them one after the other, those in no wave last; the next begins when the one before ended well. */
  waves?: Wave[];
  /** A migration that is older than what is applied: `refuse` it (default), or `apply` it late. */
  outOfOrder?: 'refuse' | 'apply';
  /** `pinned`: a tenant's own folder may lack core migrations, and nobody is told; default `synced`. */
  folders?: 'synced' | 'pinned';
  /** Where each database keeps its history; default `mpm_migrate.history`. */
  history?: {
    schema?: string;
    table?: string;
    /**
     * Roles whose histories are trusted beside those of the user who connects, the role that is set on its login,
     * superusers, and the owner of the ledger. What mpm-migrate creates is given to the first of them, so that logins
     * which rotate share it; each login must be its member.
     */
    owners?: string[];
  };
  /** For `verify`. */
  verify?: {
    /**
     * What tenants may own beside what migrations make: `reports.*`, `meters.extra_*`, `index:meters_*`. A table's
     * name means all that is part of it.
     */
    ignore?: string[];
    /**
     * The server of this configuration on which the databases are made that tenants are compared with; by default each
     * tenant's own. With another major version, views, functions, defaults, and other expressions aren't compared.
     */
    reference?: string;
  };
  /** For `lint`. */
  lint?: {
    /** How much a rule's findings count, by its id: `error` ends `lint` with exit code 4. */
    rules?: Record<string, LintSeverity>;
    /**
     * The server of this configuration on which a database is made for migrations in TypeScript, and dropped; by default
     * an embedded server is started for them.
     */
    server?: string;
  };
  databases?: {
    /**
     * Roles that may connect to the databases that mpm-migrate creates; others, PUBLIC among them, may not. By default
     * everybody may, as PostgreSQL has it.
     */
    connect?: string[];
    /**
     * The database that those which mpm-migrate creates, templates among them, are copies of; default template0. Nobody
     * may be connected to it.
     */
    template?: string;
  };
  pace?: {
    /** Tenants in work at once, per server. */
    concurrency?: number;
    /** Default 1s: a waiting ALTER stalls every reader behind it. */
    lockTimeout?: Duration;
    /** Default none. */
    statementTimeout?: Duration;
    /** Default 10min. */
    idleInTransactionTimeout?: Duration;
    /** How long to wait for another runner; default 30s. */
    lockWait?: Duration;
    /** Attempts after the first, for what passes by itself; default 10. */
    retries?: number;
    /** Default 10s. */
    connectTimeout?: Duration;
  };
}

/** How much a finding of `lint` counts. */
export type LintSeverity = 'off' | 'warn' | 'error';

/** What migrations are ordered by. */
export type MigrationOrder = 'version' | 'kysely' | 'text';

/** A part of a fleet that goes before others. */
export interface Wave {
  name: string;
  /** The tenants with all of these labels. */
  labels: Record<string, string>;
  /** Tenants in work at once, per server. */
  concurrency?: number;
  /**
   * So many failures, or a share of the wave like `2%`: no further tenant of it is started, and no further wave.
   * Without it all of the wave are tried, and one failure keeps the next wave from beginning.
   */
  maxFailures?: number | string;
}

/** Gives the configuration its type; returns it as it is. */
export function defineConfig(config: ConfigInput): ConfigInput {
  return config;
}

/** The configuration as the code uses it: paths absolute, times in ms, defaults filled in. */
export interface Config {
  /** The file it came from, if there was one. */
  file?: string;
  /** A file further up, which was left out. */
  leftOut?: string;
  /** The folder that relative paths start from: the file's, or the working directory. */
  root: string;
  central: {
    url: Address;
    /** What tells this fleet from any other one; known once the central database was opened. */
    identity?: string;
    /** Nothing says where it is: only what goes without it can be done. */
    absent?: true;
  };
  /** Migrations of the contract phase that are as any other by now; known once the central database was opened. */
  released?: ReadonlySet<string>;
  servers: Record<
    string,
    { name: string; url: Address; directUrl?: Address; maxConnections?: number; maxLag?: number }
  >;
  migrations: {
    core: string;
    central: string;
    tenants: string;
    plugins: string;
    seeds: string;
    templates?: string;
    order: MigrationOrder;
    sameVersion: readonly string[];
    unnumbered: readonly string[];
  };
  tenants: TenantsInput | { builtIn: true };
  /** New tenants are made from a template database. */
  templates: boolean;
  /** Names of migrations and seeds that no template holds. */
  perTenant?: readonly string[];
  /** Absent: `database_proxies`, if the tenants are the built-in ones. */
  users?: UsersInput;
  sessions: SessionLimits;
  waves?: readonly Wave[];
  outOfOrder?: 'refuse' | 'apply';
  folders?: 'synced' | 'pinned';
  history: {
    schema: string;
    table: string;
    owners: readonly string[];
    /** Known once the central database was asked. */
    ledgerOwner?: string | undefined;
  };
  verify?: { ignore?: readonly string[]; reference?: string };
  lint?: { rules?: Readonly<Record<string, LintSeverity>>; server?: string };
  databases: { connect: readonly string[]; template?: string };
  pace: Pace;
  /** Who runs this, for the history: `--actor`, `MPM_ACTOR`, or the CI's own variable. */
  actor?: string;
}

/** When a session's connection is closed instead of lent again. */
export type SessionReset = 'auto' | 'always' | 'never';

/** Times in ms. */
export interface SessionLimits {
  connections: number;
  perTenant: number;
  waitTimeout: number;
  idleTimeout: number;
  ttl: number;
  reset: SessionReset;
}
