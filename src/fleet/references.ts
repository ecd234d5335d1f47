import type { Central } from '../central/central.ts';
import type { ObjectDifference } from '../engine/catalog/compare.ts';
import type { CatalogOptions } from '../engine/catalog/query.ts';
import type { DatabaseState } from '../engine/history/read.ts';
import type { Migration } from '../engine/migration.ts';
import { type ErrorCode, MpmError } from '../errors.ts';
import { type Reference, buildReference } from '../tenants/create/reference.ts';
import { serverOf } from '../tenants/server.ts';

export interface ReferenceOptions {
  comments: boolean;
  signal?: AbortSignal | undefined;
  cancel?: AbortSignal | undefined;
}

/** A tenant's drift, as all share it who have the same. */
export interface Drift {
  head: string | null;
  differences: ObjectDifference[];
  sql: string[];
}

/** A look at a tenant: its history, and all that is in it. */
export interface Look {
  found: DatabaseState;
  applied: Migration[];
  head: string | null;
  fingerprint: string;
  /** The server's major version. */
  version: number;
}

/** So many drifts are remembered, for tenants that have the same one. */
const MOST_DRIFTS = 100;

/** What tenants are compared with: one reference for each history on each server, built when the first one needs it. */
export class References {
  readonly #central: Central;
  readonly #options: Pick<ReferenceOptions, 'signal' | 'cancel'>;
  readonly #built = new Map<string, Promise<Reference>>();
  readonly #drifts = new Map<string, Promise<Drift | 'moved on'>>();
  readonly catalog: CatalogOptions;
  readonly ignore: readonly string[];

  constructor(central: Central, { comments, ...options }: ReferenceOptions) {
    this.#central = central;
    this.#options = options;
    const { history, pace, verify: wishes } = central.config;
    this.catalog = { history, comments, lockTimeout: pace.lockTimeout };
    this.ignore = wishes?.ignore ?? [];
  }

  of(server: string, { found, applied }: Look): Promise<Reference> {
    const key = `${server}\0${found.fingerprint}`;
    let built = this.#built.get(key);
    if (!built) {
      built = this.#build(server, applied);
      this.#built.set(key, built);
      // What stops one, such as a server that does not answer, need not stop the next.
      built.catch((error: unknown) => isAbout(error) || this.#built.delete(key));
    }
    return built;
  }

  async #build(server: string, applied: readonly Migration[]): Promise<Reference> {
    const { config } = this.#central;
    const place = config.verify?.reference ?? server;
    const { signal, cancel } = this.#options;
    try {
      return await buildReference(config, serverOf(config, place).name, applied, {
        catalog: this.catalog,
        ...(signal ? { signal } : {}),
        ...(cancel ? { cancel } : {}),
      });
    } catch (error) {
      if (!(error instanceof MpmError) || !isAbout(error)) throw error;
      throw new MpmError('NOT_COMPARABLE', `can't be compared: on server "${place}", ${error.message}`, {
        cause: error,
        ...(error.migration === undefined ? {} : { migration: error.migration }),
        ...(error.database ? { database: error.database } : {}),
        hint:
          error.code === 'PROVISION_FAILED'
            ? 'verify applies the migrations to a database that it makes, and drops again. Let the login: alter role … createdb; or name a server of the configuration with a login that may: verify: { reference: … }.'
            : `verify applies the migrations to a new database on server "${place}". Install there what they need, such as an extension or a role; or name a server of the configuration where they apply: verify: { reference: … }.`,
      });
    }
  }

  /** Tenants that are equal differ in the same way: one of them is read object by object. */
  drift(
    reference: Reference,
    look: Look,
    read: () => Promise<Drift | 'moved on'>,
  ): Promise<Drift | 'moved on'> {
    const key = `${reference.database}\0${look.fingerprint}`;
    const known = this.#drifts.get(key);
    if (known) return known;
    const reading = read();
    if (this.#drifts.size < MOST_DRIFTS) {
      this.#drifts.set(key, reading);
      const forget = (): unknown => this.#drifts.delete(key);
      reading.then((drift) => drift === 'moved on' && forget(), forget);
    }
    return reading;
  }
}

/** What passes, or is the connection's fault: the next tenant tries again. */
const PASSING: readonly ErrorCode[] = [
  'BUSY',
  'COMMIT_UNKNOWN',
  'CONNECTION',
  'CONNECTION_LOST',
  'DATABASE_IN_USE',
  'INTERRUPTED',
  'LOCK_TIMEOUT',
  'PASSWORD',
  'UNKNOWN_SERVER',
];

/** It is the migrations' fault, or of what the login may do: it is the same for the next tenant. */
function isAbout(error: unknown): boolean {
  return error instanceof MpmError && !PASSING.includes(error.code);
}
