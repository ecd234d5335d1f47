import type { Tenant } from '../central/tenant.ts';
import type { Config } from '../config/define.ts';
import { MpmError } from '../errors.ts';
import { isOlder, selectHead } from '../migration/head.ts';
import { GUARD, guard, type HistoryTable } from '../migration/history.ts';
import { isUntrusted, mayBeRead } from '../migration/trust.ts';
import type { Lease } from '../postgres/lease.ts';
import { isServerError, SQLSTATE } from '../postgres/sqlstate.ts';
import { behindError } from './admission.ts';

/** So soon a tenant that is behind is looked at again, in ms: it may have been migrated meanwhile. */
const AGAIN = 1_000;

/** Keeps an application away from tenants whose schema it does not know; each history is read once in a while. */
export class HeadGuard {
  readonly #config: Config;
  readonly #history: () => HistoryTable;
  readonly #heads = new Map<string, { head: string | null; readAt: number }>();
  readonly #reading = new Map<string, Promise<string | null>>();

  /** @param history with who owns the ledger, as the central database said last */
  constructor(config: Config, history: () => HistoryTable) {
    this.#config = config;
    this.#history = history;
  }

  /** @throws MpmError TENANT_BEHIND, and what `borrow` throws */
  async require(tenant: Tenant, atLeast: string, borrow: () => Promise<Lease>): Promise<void> {
    const known = this.#heads.get(tenant.id);
    const age = known ? performance.now() - known.readAt : Infinity;
    if (known) {
      const older = isOlder(known.head, atLeast);
      if (!older && age < this.#config.sessions.ttl) return;
      if (older && age < Math.min(AGAIN, this.#config.sessions.ttl)) {
        throw behindError(tenant, known.head, atLeast);
      }
    }
    const head = await this.#read(tenant.id, borrow);
    if (isOlder(head, atLeast)) throw behindError(tenant, head, atLeast);
  }

  forget(id: string): void {
    this.#heads.delete(id);
  }

  /** Those who ask at the same time get the same answer. */
  #read(id: string, borrow: () => Promise<Lease>): Promise<string | null> {
    const reading = this.#reading.get(id);
    if (reading) return reading;
    const read = this.#readNow(id, borrow).finally(() => this.#reading.delete(id));
    this.#reading.set(id, read);
    return read;
  }

  async #readNow(id: string, borrow: () => Promise<Lease>): Promise<string | null> {
    const lease = await borrow();
    try {
      const head = await readHead(lease, this.#history());
      this.#heads.set(id, { head, readAt: performance.now() });
      return head;
    } catch (error) {
      if (isServerError(error) && error.code === SQLSTATE.undefinedTable) return null;
      if (isUntrusted(error)) throw untrusted(id, error);
      throw error;
    } finally {
      lease.release();
    }
  }
}

/** Only of a history that is ours (engine 34). */
async function readHead(lease: Lease, history: HistoryTable): Promise<string | null> {
  const message = `${guard(mayBeRead(history), GUARD.untrusted)};\n${selectHead(history)}`;
  const answers = [await lease.query(message)].flat();
  const [row] = (answers.at(-1)?.rows ?? []) as { name: string }[];
  return row?.name ?? null;
}

function untrusted(id: string, cause: unknown): MpmError {
  return new MpmError('HISTORY_UNTRUSTED', `the history of tenant ${id} is not to be trusted`, {
    subject: id,
    cause,
    hint: `What is wrong with it: mpm-migrate status --tenant ${id}`,
  });
}
