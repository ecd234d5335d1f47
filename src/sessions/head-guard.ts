import { tenantProblem } from '../central/list/problem.ts';
import type { Tenant } from '../central/list/tenant.ts';
import type { Config } from '../config/define.ts';
import { MpmError } from '../errors.ts';
import { GUARD, guard, type HistoryTable } from '../engine/history/history.ts';
import { type MayHaveReached, type Reached, reachedOf, selectReached } from '../engine/history/stamp.ts';
import { isUntrusted, mayBeRead } from '../engine/history/trust.ts';
import type { Lease } from '../postgres/lease.ts';
import { isServerError, SQLSTATE } from '../postgres/sqlstate.ts';
import { idWord } from '../shell-word.ts';

/** So soon a tenant that is behind is looked at again, in ms: it may have been migrated meanwhile. */
const AGAIN = 1_000;

/** Keeps an application away from tenants whose schema it does not know; each history is read once in a while. */
export class HeadGuard {
  readonly #config: Config;
  readonly #history: () => HistoryTable;
  /** By tenant, and by the migration that was asked for. */
  readonly #heads = new Map<string, Map<string, Reached & { readAt: number }>>();
  readonly #reading = new Map<string, Promise<Reached>>();

  /** @param history with who owns the ledger, as the central database said last */
  constructor(config: Config, history: () => HistoryTable) {
    this.#config = config;
    this.#history = history;
  }

  /** @throws MpmError TENANT_BEHIND, and what `borrow` throws */
  async require(tenant: Tenant, atLeast: string, borrow: () => Promise<Lease>): Promise<void> {
    const select = selectReached(this.#history(), atLeast);
    const known = this.#heads.get(tenant.id)?.get(atLeast);
    const age = known ? performance.now() - known.readAt : Infinity;
    if (known) {
      if (known.there && age < this.#config.sessions.ttl) return;
      if (!known.there && age < Math.min(AGAIN, this.#config.sessions.ttl)) {
        throw behindError(tenant, known.head, atLeast);
      }
    }
    const { head, there } = await this.#read(tenant.id, atLeast, select, borrow);
    if (!there) throw behindError(tenant, head, atLeast);
  }

  forget(id: string): void {
    this.#heads.delete(id);
  }

  /** Those who ask at the same time get the same answer. */
  #read(id: string, atLeast: string, select: string, borrow: () => Promise<Lease>): Promise<Reached> {
    const key = `${id}\n${atLeast}`;
    const reading = this.#reading.get(key);
    if (reading) return reading;
    const read = this.#readNow(id, atLeast, select, borrow).finally(() => this.#reading.delete(key));
    this.#reading.set(key, read);
    return read;
  }

  async #readNow(
    id: string,
    atLeast: string,
    select: string,
    borrow: () => Promise<Lease>,
  ): Promise<Reached> {
    const lease = await borrow();
    try {
      const found = await readReached(lease, this.#history(), select);
      const reached = reachedOf(found, atLeast);
      const known = this.#heads.get(id) ?? new Map();
      this.#heads.set(id, known.set(atLeast, { ...reached, readAt: performance.now() }));
      return reached;
    } catch (error) {
      if (isServerError(error) && error.code === SQLSTATE.undefinedTable) {
        return { head: null, there: false };
      }
      if (isUntrusted(error)) throw untrusted(id, error);
      throw error;
    } finally {
      lease.release();
    }
  }
}

/** Only of a history that is ours (engine 34). */
async function readReached(lease: Lease, history: HistoryTable, select: string): Promise<MayHaveReached> {
  const [row] = await lease.own<MayHaveReached>(`${guard(mayBeRead(history), GUARD.untrusted)};\n${select}`);
  return row ?? { head: null, names: [] };
}

function untrusted(id: string, cause: unknown): MpmError {
  return new MpmError('HISTORY_UNTRUSTED', `the history of tenant ${id} isn't trusted`, {
    subject: id,
    cause,
    hint: `To see why: mpm-migrate status --tenant ${idWord(id)}`,
  });
}

const THEIRS = 'Its row in the central database says this.';

/**
 * Why an application gets no session of a tenant; undefined when it does.
 * @returns TENANT_SUSPENDED, TENANT_NOT_READY, or what is wrong with its row
 */
export function refusalOf(tenant: Tenant, config: Config): MpmError | undefined {
  const { id, name, status, reason } = tenant;
  const who = name ? `${name} (${id})` : `tenant ${id}`;
  const why = reason ? `: ${reason}` : '';
  const subject = name || id;
  const ours = 'builtIn' in config.tenants;
  switch (status) {
    case 'active':
      return tenantProblem(tenant, config);
    case 'provisioning':
    case 'failed':
      return new MpmError('TENANT_NOT_READY', `the creation of ${who} isn't finished${why}`, {
        subject,
        hint: ours ? `mpm-migrate tenant create --resume ${idWord(id)}` : THEIRS,
      });
    case 'hold':
      return new MpmError('TENANT_SUSPENDED', `${who} is on hold${why}`, {
        subject,
        hint: ours ? `mpm-migrate tenant release ${idWord(id)}` : THEIRS,
      });
    default:
      return new MpmError('TENANT_SUSPENDED', `${who} isn't active (${status})${why}`, {
        subject,
        hint: THEIRS,
      });
  }
}

/** The tenant's head is older than what an application asks for. */
function behindError({ id, name }: Tenant, head: string | null, atLeast: string): MpmError {
  const who = name ? `${name} (${id})` : `tenant ${id}`;
  const where = head === null ? 'has no migrations' : `is at ${head}`;
  return new MpmError('TENANT_BEHIND', `${who} ${where}; this release needs ${atLeast}`, {
    subject: name || id,
    hint: `mpm-migrate up --tenant ${idWord(id)}`,
  });
}
