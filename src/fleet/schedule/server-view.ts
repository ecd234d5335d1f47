import type { Central } from '../../central/central.ts';
import type { Tenant } from '../../central/list/tenant.ts';
import { type StampInput, selectStampInput } from '../../engine/history/history.ts';
import type { Migration } from '../../engine/migration.ts';
import { planKnown } from '../../engine/known-plan.ts';
import type { Plan, PlanOptions } from '../../engine/plan.ts';
import { parseStamp } from '../../engine/history/stamp.ts';
import type { Address } from '../../postgres/address.ts';
import { describeUrl, withConnection } from '../../postgres/connect.ts';
import type { Connection } from '../../postgres/connection.ts';
import { directUrlOf } from '../../tenants/server.ts';
import type { Headroom } from './limit.ts';
import { serialize } from './serialize.ts';

/** What is known of a server by asking it once: its connections, and all its databases. */
interface ServerView {
  headroom: Headroom;
  /** By name; none through a pooler, whose names need not be the server's. */
  databases: ReadonlyMap<string, StampInput> | undefined;
  /** When it was read, and how long that took; ms. */
  at: number;
  took: number;
}

/** One database, by its stamp alone. */
export interface StampedState {
  plan: Plan;
  count: number;
  fingerprint: string;
}

/** So many databases are asked by themselves; of more, their server is asked at once. */
const FEW = 4;
/** A view lasts so many times as long as it took to read. */
const LASTS = 20;

/** The views of a fleet's servers: each one is asked once, and once more when what it said is too old (engine 30). */
export class ServerViews {
  readonly #central: Central;
  readonly #views = new Map<string, Promise<ServerView | undefined>>();

  constructor(central: Central) {
    this.#central = central;
  }

  /** So many tenants of it are to be looked at: begins to ask it, where that is worth it. */
  expect(server: string, count: number): void {
    if (count > FEW) void this.#of(server);
  }

  /** Undefined when the server cannot be asked: its tenants find out, and say why. */
  async headroom(server: string): Promise<Headroom | undefined> {
    return (await this.#of(server))?.headroom;
  }

  /**
   * Where a tenant stands, without a connection to it. `unknown`: it must be looked at, because it has no stamp, or
   * one of a history that is not just the first of these migrations. `missing`: there is no such database.
   */
  async state(
    { server, database }: Pick<Tenant, 'server' | 'database'>,
    migrations: readonly Migration[],
    options: PlanOptions = {},
  ): Promise<StampedState | 'unknown' | 'missing'> {
    const databases = (await this.#of(server))?.databases;
    if (!databases) return 'unknown';
    const found = databases.get(database);
    if (!found) return 'missing';
    const stamp = parseStamp(found.comment);
    const plan = stamp && planKnown(migrations, stamp, options);
    return plan ? { plan, ...stamp } : 'unknown';
  }

  /**
   * What a database's stamp is written with, as it was `maxAge` ms ago at most; of a server that takes long to
   * answer, somewhat longer ago. Undefined: ask the database itself.
   */
  async stampInput(
    { server, database }: Pick<Tenant, 'server' | 'database'>,
    maxAge: number,
  ): Promise<StampInput | undefined> {
    const first = this.#views.get(server);
    const view = await first;
    const stale = view && Date.now() - view.at > Math.max(maxAge, view.took * LASTS);
    if (stale && this.#views.get(server) === first) this.#views.delete(server);
    return (stale ? await this.#of(server) : view)?.databases?.get(database);
  }

  #of(server: string): Promise<ServerView | undefined> {
    let view = this.#views.get(server);
    if (!view) {
      view = this.#read(server).catch(() => undefined);
      this.#views.set(server, view);
    }
    return view;
  }

  async #read(name: string): Promise<ServerView | undefined> {
    const { config } = this.#central;
    const server = config.servers[name];
    if (!server) return undefined;
    const url = directUrlOf(config, name);
    // What is asked is the same in every database of a server, and a connection costs more than the question.
    if (isSameServer(url, config.central.url)) {
      return serialize(this.#central, () => readServer(this.#central.connection));
    }
    const { connectTimeout } = config.pace;
    const target = { url, applicationName: 'mpm-migrate/servers', connectTimeout };
    return withConnection(target, readServer);
  }
}

const SELECT_HEADROOM = `select pg_catalog.pg_backend_pid() as pid, current_setting('max_connections')::int as max,
  current_setting('superuser_reserved_connections')::int
    + coalesce(current_setting('reserved_connections', true)::int, 0) as reserved,
  (select count(*)::int from pg_catalog.pg_stat_activity where backend_type = 'client backend') as used`;

/** The same user on the same server, and nothing else said of how to get there. */
function isSameServer(one: Address, other: Address): boolean {
  if (typeof one !== 'string' || typeof other !== 'string') return false;
  const [a, b] = [one, other].map((url) => ({ ...describeUrl(url), options: url.split('?')[1] }));
  return a?.host === b?.host && a?.port === b?.port && a?.user === b?.user && a?.options === b?.options;
}

async function readServer(connection: Connection): Promise<ServerView> {
  const at = Date.now();
  const { results } = await connection.send(`${SELECT_HEADROOM};\n${selectStampInput('true')}`);
  const [own, all] = results.map(({ rows }) => rows) as unknown as [
    [Headroom & { pid: number }],
    StampInput[],
  ];
  const [{ pid, ...headroom }] = own;
  const direct = pid === connection.backendPid;
  return { headroom, databases: direct ? byName(all) : undefined, at, took: Date.now() - at };
}

/** Few comments are different: those that are equal are kept once. */
function byName(all: readonly StampInput[]): Map<string, StampInput> {
  const comments = new Map<string | null, string | null>();
  const kept = (comment: string | null): string | null => {
    if (!comments.has(comment)) comments.set(comment, comment);
    return comments.get(comment) ?? null;
  };
  return new Map(all.map(({ name, comment, owner }) => [name, { name, comment: kept(comment), owner }]));
}
