import type { Tenant } from '../central/tenant.ts';
import type { Config } from '../config/define.ts';
import { fingerprintOf } from '../migration/fingerprint.ts';
import type { Migration } from '../migration/migration.ts';
import { type Plan, planAfter, type PlanOptions } from '../migration/plan.ts';
import { parseStamp } from '../migration/stamp.ts';
import { type DatabaseTarget, withConnection } from '../postgres/connection.ts';
import type { Headroom } from './limit.ts';

/** What one query says of a server: its connections, its databases, and where each one's history stands. */
export interface ServerView {
  headroom: Headroom;
  /** Database → its stamp as text; null for one without. */
  stamps: ReadonlyMap<string, string | null>;
}

/** One database, by its stamp alone. */
export interface StampedStanding {
  plan: Plan;
  count: number;
  fingerprint: string;
}

/** The views of a fleet's servers: each one is asked once, when the first of its tenants is looked at (engine 30). */
export class ServerViews {
  readonly #config: Config;
  readonly #views = new Map<string, Promise<ServerView | undefined>>();

  constructor(config: Config) {
    this.#config = config;
  }

  /** Undefined when the server cannot be asked: its tenants are looked at one by one, and say why. */
  of(server: string): Promise<ServerView | undefined> {
    let view = this.#views.get(server);
    if (!view) {
      view = this.#read(server).catch(() => undefined);
      this.#views.set(server, view);
    }
    return view;
  }

  /**
   * Where a tenant stands, without a connection to it. `unknown`: it must be looked at, because it has no stamp, or
   * one of a history that is not just the first of these migrations. `missing`: there is no such database.
   */
  async standing(
    { server, database }: Pick<Tenant, 'server' | 'database'>,
    migrations: readonly Migration[],
    options: PlanOptions = {},
  ): Promise<StampedStanding | 'unknown' | 'missing'> {
    const view = await this.of(server);
    if (!view) return 'unknown';
    if (!view.stamps.has(database)) return 'missing';
    const stamp = parseStamp(view.stamps.get(database) ?? null);
    if (!stamp || fingerprintOf(migrations, stamp.count) !== stamp.fingerprint) return 'unknown';
    return { plan: planAfter(migrations, stamp.count, options), ...stamp };
  }

  async #read(name: string): Promise<ServerView | undefined> {
    const server = this.#config.servers[name];
    if (!server) return undefined;
    return readServer({
      // A pooler's names of databases need not be the server's.
      url: server.directUrl ?? server.url,
      applicationName: 'mpm-migrate/servers',
      connectTimeout: this.#config.pace.connectTimeout,
    });
  }
}

async function readServer(target: DatabaseTarget): Promise<ServerView | undefined> {
  return withConnection(target, async (connection) => {
    const rows = await connection.query<{ name: string | null; said: string | null }>(SELECT_VIEW);
    const own = JSON.parse(rows.find(({ name }) => name === null)?.said ?? '{}') as Headroom & {
      pid: number;
    };
    const { pid, ...headroom } = own;
    if (pid !== connection.backendPid) return undefined;
    // Few stamps are different: those that are equal are kept once.
    const texts = new Map<string | null, string | null>();
    const stamps = new Map<string, string | null>();
    for (const { name, said } of rows) {
      if (name === null) continue;
      if (!texts.has(said)) texts.set(said, said);
      stamps.set(name, texts.get(said) ?? null);
    }
    return { headroom, stamps };
  });
}

export const SELECT_HEADROOM = `current_setting('max_connections')::int as max,
  current_setting('superuser_reserved_connections')::int
    + coalesce(current_setting('reserved_connections', true)::int, 0) as reserved,
  (select count(*)::int from pg_catalog.pg_stat_activity where backend_type = 'client backend') as used`;

/** Of a comment only its tag is sent. */
const SELECT_VIEW = `select null::text as name, (select row_to_json(h)::text from (select pg_catalog.pg_backend_pid() as pid, ${SELECT_HEADROOM}) h) as said
union all
select datname::text, substring(pg_catalog.shobj_description(oid, 'pg_database') from '\\[mpm-migrate:[^]]*\\]$')
from pg_catalog.pg_database`;
