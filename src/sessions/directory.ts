import type { Config } from '../config/define.ts';
import { asMpmError, MpmError } from '../errors.ts';
import { endsSession } from '../postgres/lease.ts';
import { type Central, openCentral } from '../central/central.ts';
import { lookUpTenant } from '../central/list/provisioning.ts';
import type { Tenant } from '../central/list/tenant.ts';
import { findTenantOfUser } from './users.ts';

/** The channel on which the central database tells a tenant's id when its row changes; empty: all of them. */
const CHANNEL = 'mpm_migrate_tenants';

/** So long what was known before is used while the central database cannot be reached, in ms. */
const GRACE = 60_000;

/** So many tenants are remembered; beyond it the one looked up longest ago is forgotten. */
const REMEMBERED = 10_000;

/** What is known of a tenant, and until when it may be used unasked. */
export interface Entry {
  readonly tenant: Tenant;
  readonly readAt: number;
  /** False from the moment a change is heard of. */
  valid: boolean;
}

/**
 * The list of tenants, as one connection to the central database knows it. It listens for changes; when it is
 * lost, nothing that it knew is trusted until another one listens.
 */
export class Directory {
  readonly #config: Config;
  readonly #onChange: (tenant: Tenant) => void;
  readonly #entries = new Map<string, Entry>();
  /** Ids as they were given, where the central database writes them otherwise. */
  readonly #spellings = new Map<string, string>();
  readonly #asking = new Map<string, Promise<Entry>>();
  #central: Promise<Central> | undefined;
  #current: Central | undefined;
  /** Counts what was heard: an answer that is older than the last change is not kept. */
  #changes = 0;
  #turn: Promise<void> = Promise.resolve();
  #closed = false;

  /** @param onChange hears of each remembered tenant whose row may have changed */
  constructor(config: Config, onChange: (tenant: Tenant) => void) {
    this.#config = config;
    this.#onChange = onChange;
  }

  /** What is known of a tenant without asking; undefined when it must be asked for. */
  peek(id: string): Entry | undefined {
    const entry = this.#entries.get(this.#keyOf(id));
    return entry?.valid && performance.now() - entry.readAt < this.#config.sessions.ttl ? entry : undefined;
  }

  /**
   * What the central database says of a tenant, or said a moment ago.
   * @throws MpmError UNKNOWN_TENANT, CENTRAL_INVALID, CENTRAL_BEHIND, CONNECTION, FLEET_CLOSED
   */
  async get(id: string): Promise<Entry> {
    const known = this.peek(id);
    if (known) return known;
    const asked = this.#asking.get(id);
    if (asked) return asked;
    const asking = this.#ask(id).finally(() => this.#asking.delete(id));
    this.#asking.set(id, asking);
    return asking;
  }

  /**
   * The tenant to which a user belongs.
   * @throws MpmError UNKNOWN_USER, and as {@link get}
   */
  async ofUser(email: string): Promise<Tenant> {
    const id = await this.#query((central) => findTenantOfUser(central, email));
    return (await this.get(id)).tenant;
  }

  /** Where histories are, and whose are ours, as the central database said last. */
  get history(): Config['history'] {
    return (this.#current?.config ?? this.#config).history;
  }

  async close(): Promise<void> {
    this.#closed = true;
    const central = await this.#central?.catch(() => undefined);
    await central?.connection.close();
  }

  async #ask(id: string): Promise<Entry> {
    const before = this.#entries.get(this.#keyOf(id));
    try {
      for (let tries = 1; ; tries += 1) {
        const changes = this.#changes;
        const tenant = await this.#query((central) => lookUpTenant(central, id));
        if (changes !== this.#changes && tries < 5) continue;
        return this.#remember(id, tenant, before);
      }
    } catch (error) {
      // A row cannot change while nobody reaches it: better to go on than to send every tenant away.
      const unreachable = asMpmError(error).code === 'CONNECTION';
      if (unreachable && before && performance.now() - before.readAt < GRACE) return before;
      throw error;
    }
  }

  #remember(id: string, tenant: Tenant | undefined, before: Entry | undefined): Entry {
    if (tenant && tenant.id !== id) this.#keep(this.#spellings, id, tenant.id);
    this.#entries.delete(this.#keyOf(id));
    if (before) before.valid = false;
    if (before && !isSamePlace(before.tenant, tenant)) this.#onChange(before.tenant);
    if (!tenant) throw unknown(id);
    // While changes pour in, the answer is right but may be old by the time it is asked for again.
    const entry = { tenant, readAt: performance.now(), valid: true };
    this.#keep(this.#entries, tenant.id, entry);
    return entry;
  }

  /** What the central database calls it: one tenant has many spellings (`003`, a uuid in capitals). */
  #keyOf(id: string): string {
    return this.#spellings.get(id) ?? id;
  }

  #keep<V>(map: Map<string, V>, key: string, value: V): void {
    map.set(key, value);
    const [oldest] = map.keys();
    if (map.size > REMEMBERED && oldest !== undefined) map.delete(oldest);
  }

  /** One query, and once more on a new connection if the one that was there turns out to be gone. */
  async #query<T>(query: (central: Central) => Promise<T>): Promise<T> {
    for (let again = this.#central !== undefined; ; again = false) {
      const central = await this.#connected();
      try {
        // pg lets a connection have one query at a time.
        const asked = this.#turn.then(() => query(central));
        this.#turn = asked.then(
          () => undefined,
          () => undefined,
        );
        return await withTimeLimit(asked, this.#config, () => central.connection.cut());
      } catch (error) {
        if (!central.connection.lost && !isLoss(error)) throw error;
        this.#forgetCentral(central);
        if (!again) throw lost(error);
      }
    }
  }

  async #connected(): Promise<Central> {
    if (this.#closed)
      throw new MpmError('FLEET_CLOSED', 'the fleet is closed', { hint: 'openFleet(…) again' });
    this.#central ??= this.#open().catch((error: unknown) => {
      this.#central = undefined;
      throw error;
    });
    return this.#central;
  }

  async #open(): Promise<Central> {
    const central = await openCentral(this.#config, 'sessions');
    central.connection.onLost(() => this.#forgetCentral(central));
    central.connection.onNotification((id) => this.#hear(id));
    // A standby does not let anybody listen; then there is the time to live.
    await central.connection.query(`listen ${CHANNEL}`).catch(() => undefined);
    this.#current = central;
    return central;
  }

  #forgetCentral(central: Central): void {
    if (this.#current !== central) return;
    this.#current = undefined;
    this.#central = undefined;
    this.#changes += 1;
    for (const entry of this.#entries.values()) entry.valid = false;
  }

  #hear(id: string): void {
    this.#changes += 1;
    for (const key of id ? [id] : this.#entries.keys()) {
      const entry = this.#entries.get(key);
      if (!entry?.valid) continue;
      entry.valid = false;
      this.#onChange(entry.tenant);
    }
  }
}

function isSamePlace(before: Tenant, now: Tenant | undefined): boolean {
  return (
    now !== undefined &&
    before.database === now.database &&
    before.server === now.server &&
    before.status === now.status
  );
}

/** A network that swallows everything would let every caller wait for ever. */
async function withTimeLimit<T>(work: Promise<T>, { pace }: Config, cut: () => void): Promise<T> {
  if (!pace.connectTimeout) return work;
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      cut();
      reject(new MpmError('CONNECTION', "the central database doesn't answer"));
    }, pace.connectTimeout);
  });
  return Promise.race([work, late]).finally(() => clearTimeout(timer));
}

function isLoss(error: unknown): boolean {
  return error instanceof MpmError ? error.code === 'CONNECTION' : endsSession(error);
}

function lost(error: unknown): MpmError {
  const known = asMpmError(error);
  if (known.code === 'CONNECTION') return known;
  return new MpmError('CONNECTION', `the connection to the central database was lost: ${known.message}`, {
    cause: error,
    hint: 'Check that the server is up. The next call reconnects.',
  });
}

function unknown(id: string): MpmError {
  return new MpmError('UNKNOWN_TENANT', `Unknown tenant "${id}"`, {
    subject: id,
    hint: 'To list all tenants: mpm-migrate tenant list',
  });
}
