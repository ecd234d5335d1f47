import type { Tenant } from '../central/list/tenant.ts';
import type { Config } from '../config/define.ts';
import { MpmError } from '../errors.ts';
import type { Connection } from '../postgres/connection.ts';
import { isTransactionPooler } from './pooler.ts';
import { changesSession } from './session-state.ts';
import type { PooledDatabase } from './slots.ts';

/** Where the sessions of tenants go, and what is known of the way there. */
export class PooledDatabases {
  readonly #config: Config;
  /** Connections that a pooler answers. */
  readonly #pooled = new WeakSet<Connection>();
  /** Of each server behind a pooler: whether that lends its sessions by transaction. */
  readonly #byTransaction = new Map<string, Promise<boolean | undefined>>();

  constructor(config: Config) {
    this.#config = config;
  }

  /** Where a tenant's sessions go. */
  of(tenant: Tenant): PooledDatabase {
    const { id, name, database, server } = tenant;
    const { servers, pace, sessions } = this.#config;
    const place: PooledDatabase = {
      key: placeKey(tenant),
      server,
      target: {
        url: servers[server]?.url ?? '',
        database,
        tenant,
        session: true,
        applicationName: `mpm-migrate/session/${id}`,
        connectTimeout: pace.connectTimeout,
      },
      verify: (connection) => this.#verify(connection, name || id),
    };
    if (sessions.reset === 'auto') place.watch = (sql, connection) => this.#watch(sql, connection, place);
    else if (sessions.reset === 'always') place.watch = () => true;
    return place;
  }

  /** A pooler may map a name to another database, and a server be known under two names. */
  async #verify(connection: Connection, subject: string): Promise<void> {
    const [found] = await connection.query<{ database: string; central: boolean; pid: number }>(
      "select pg_catalog.current_database()::text as database, pg_catalog.to_regclass('mpm_migrate.runs') is not null as central, pg_catalog.pg_backend_pid() as pid",
    );
    if (found?.database !== connection.database) {
      throw new MpmError(
        'WRONG_DATABASE',
        `connected to "${found?.database}" instead of "${connection.database}"`,
        { subject, hint: 'A pooler maps this name to another database: fix the pooler.' },
      );
    }
    if (found.central) {
      throw new MpmError('WRONG_DATABASE', `"${found.database}" is a central database, not a tenant's`, {
        subject,
        hint: "Fix the tenant's row. To show it: mpm-migrate tenant show <id>",
      });
    }
    if (found.pid !== connection.backendPid) this.#pooled.add(connection);
  }

  #watch(sql: string, connection: Connection, place: PooledDatabase): boolean | Promise<boolean> {
    if (!changesSession(sql)) return false;
    return this.#pooled.has(connection) ? this.#refuseInTransactionPooler(place) : true;
  }

  /** The next one who gets the server's session from the pooler would find it as it was left. */
  async #refuseInTransactionPooler({ server, target }: PooledDatabase): Promise<boolean> {
    let asked = this.#byTransaction.get(server);
    if (!asked) {
      asked = isTransactionPooler(target);
      this.#byTransaction.set(server, asked);
      asked.catch(() => this.#byTransaction.delete(server));
    }
    const byTransaction = await asked;
    if (byTransaction === false) return true;
    if (byTransaction === undefined) this.#byTransaction.delete(server);
    throw new MpmError(
      'SESSION_STATE',
      `this SQL changes its session, and server "${server}" is behind a pooler that passes sessions to others after each transaction`,
      {
        subject: server,
        hint: `In a transaction: set local …, set_config(…, true), pg_advisory_xact_lock, on commit drop. Or bypass the pooler in servers.${server}.url; or set sessions.reset: 'never' if the next borrower can have the changed session.`,
      },
    );
  }
}

/** Holds the tenant too: two of them never share a connection. */
export function placeKey({ id, server, database }: Pick<Tenant, 'id' | 'server' | 'database'>): string {
  return `${id}\n${server}\n${database}`;
}
