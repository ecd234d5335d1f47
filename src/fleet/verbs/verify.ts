import type { Central } from '../../central/central.ts';
import type { Config } from '../../config/define.ts';
import { type ErrorCode, MpmError } from '../../errors.ts';
import { type ObjectDifference, compareCatalogs, plainDifference } from '../../engine/catalog/compare.ts';
import { fixingSql } from '../../engine/catalog/fix.ts';
import { type CatalogOptions, readCatalog, readFingerprint } from '../../engine/catalog/query.ts';
import { requireHistory, requireWhole } from '../../engine/history/lost.ts';
import { type DatabaseState, readRows, readStampInput, readState } from '../../engine/history/read.ts';
import { fingerprintOf, isUnchanged } from '../../engine/history/state.ts';
import type { Migration } from '../../engine/migration.ts';
import { listNames, remedyFor } from '../../engine/remedy.ts';
import { withConnection } from '../../postgres/connect.ts';
import type { Connection } from '../../postgres/connection.ts';
import { databaseError } from '../../postgres/sqlstate.ts';
import { type Reference, buildReference } from '../../tenants/create/reference.ts';
import { serverOf } from '../../tenants/server.ts';
import { TOOL_TABLES } from '../../dialects/other-tools.ts';
import { attemptOf, refOf, type TenantAttempt } from '../attempt.ts';
import { readFleetFiles } from '../files.ts';
import { Groups } from '../report/groups.ts';
import type { VerifyReport } from '../report/verify-report.ts';
import { type Selection, requireSelection } from '../select.ts';
import type { Visit } from '../visit.ts';
import { type RunOptions, walk } from '../walk.ts';

export interface VerifyOptions extends Pick<
  RunOptions,
  'concurrency' | 'signal' | 'cancel' | 'maxFailures' | 'failFast' | 'onEvent'
> {
  /** Compare comments, too. */
  comments?: boolean;
}

/** A tenant's drift, as all share it who have the same. */
interface Drift {
  head: string | null;
  differences: ObjectDifference[];
  sql: string[];
}

/**
 * Compares every selected tenant's schema with what the migrations in its history make of a new database. Writes
 * nothing to a tenant. Throws only for what stops it before the first tenant.
 */
export async function verify(
  config: Config,
  selection: Selection,
  { comments = false, ...options }: VerifyOptions = {},
): Promise<VerifyReport> {
  requireSelection(selection);
  const files = await readFleetFiles(config);
  const groups = new Groups<Drift>();
  let references: References | undefined;
  const report = await walk<Drift>(
    config,
    {
      name: 'verify',
      selection,
      files,
      recorded: 'where it can be',
      // Looking does no harm to one that is on hold.
      passes: ({ status }) => status === 'hold' || undefined,
      visit: async (visit) => {
        references ??= new References(visit.context.central, { comments, ...options });
        const attempt = await compare(visit, references);
        const { detail } = attempt;
        if (detail) groups.add(refOf(visit.tenant), keyOf(detail), () => detail);
        return attempt;
      },
    },
    options,
  );
  return {
    ...report,
    groups: groups.list().map(({ what, count, tenants }) => ({
      count,
      tenants,
      head: what.head,
      differences: what.differences.map(plainDifference),
      sql: what.sql,
    })),
    others: groups.others,
  };
}

function keyOf({ differences }: Drift): string {
  return JSON.stringify(differences.map(plainDifference));
}

/** A look at a tenant: its history, and all that is in it. */
interface Look {
  found: DatabaseState;
  applied: Migration[];
  head: string | null;
  fingerprint: string;
  /** The server's major version. */
  version: number;
}

/** So many times a tenant is looked at again that a run moves on meanwhile. */
const LOOKS = 3;

async function compare(visit: Visit<Drift>, references: References): Promise<TenantAttempt<Drift>> {
  const { target } = visit;
  try {
    for (let at = 1; ; at += 1) {
      const look = await withConnection(
        target,
        (connection) => readTenant(connection, visit, references.catalog),
        {
          leave: true,
        },
      );
      const { head } = look;
      const reference = await references.of(visit.tenant.server, look);
      if (reference.version !== look.version) {
        const versions = `it is on PostgreSQL ${look.version}, and verify.reference on ${reference.version}`;
        throw new MpmError('NOT_COMPARABLE', `can't be compared: ${versions}`, {
          subject: visit.tenant.database,
          hint: 'In the configuration, name a server of the same version as verify.reference, or none.',
        });
      }
      if (reference.fingerprint === look.fingerprint)
        return attemptOf({ outcome: 'current', from: head, to: head });
      const drift = await references.drift(reference, look, () =>
        readDrift(visit, reference, references, look),
      );
      if (drift === 'moved on') {
        if (at < LOOKS) continue;
        throw new MpmError('BUSY', 'another run changes it while it is looked at', {
          subject: visit.tenant.database,
          hint: 'Try again when that run has ended: mpm-migrate verify --tenant {tenant}',
        });
      }
      const [first] = drift.differences;
      if (!first) return attemptOf({ outcome: 'current', from: head, to: head });
      const error = new MpmError(
        'DRIFT',
        drift.differences
          .slice(0, SAID)
          .map(({ message }) => message)
          .join('\n'),
        {
          subject: visit.tenant.database,
          hint: 'To see all of it, and the SQL that fixes it: mpm-migrate verify --tenant {tenant}',
        },
      );
      return { ...attemptOf({ outcome: 'drifted', from: head, to: head, error }), detail: drift };
    }
  } catch (error) {
    throw databaseError(error, target.database ?? '');
  }
}

/** So many differences are in a tenant's error; all are in the report's groups. */
const SAID = 10;

async function readTenant(
  connection: Connection,
  { migrations, options, tenant }: Visit<Drift>,
  catalog: CatalogOptions,
): Promise<Look> {
  const found = await readState(connection, options);
  requireHistory(found, { allowNonEmpty: false });
  await requireWhole(connection, options, found, await readStampInput(connection));
  const applied =
    !found.bootstrapped || fingerprintOf(migrations, found.count) === found.fingerprint
      ? migrations.slice(0, found.count)
      : appliedOf(await readRows(connection, options.history), migrations, tenant.database);
  const head = applied.at(-1)?.name ?? null;
  const { version } = connection;
  return { found, applied, head, version, fingerprint: await readFingerprint(connection, catalog) };
}

/** The files of a history's rows, in their order. @throws MpmError NOT_COMPARABLE where they are not known any more */
function appliedOf(
  rows: Awaited<ReturnType<typeof readRows>>,
  migrations: readonly Migration[],
  subject: string,
): Migration[] {
  const byName = new Map(migrations.map((migration) => [migration.name, migration]));
  const refuse = (names: string[], why: string, hint: string | undefined): void => {
    if (names.length === 0) return;
    throw new MpmError('NOT_COMPARABLE', `can't be compared: ${listNames(names)} ${why}`, {
      subject,
      ...(hint === undefined ? {} : { hint }),
    });
  };
  const named = (rule: (row: (typeof rows)[number], file: Migration | undefined) => boolean): string[] =>
    rows.filter((row) => rule(row, byName.get(row.name))).map(({ name }) => name);
  refuse(
    named(({ state }) => state === 'running' || state === 'failed'),
    'is half-done there, or at work',
    'See where it stands: mpm-migrate status --tenant {tenant}',
  );
  refuse(
    named((_, file) => file === undefined),
    'has no file any more, or a newer release applied it',
    'Use the files with which it was migrated last, or put the file back.',
  );
  const changed = named((row, file) => file !== undefined && !isUnchanged(row.checksum, file));
  refuse(changed, 'was changed after it was applied', remedyFor('changed', changed));
  return rows.flatMap(({ name }) => byName.get(name) ?? []);
}

async function readDrift(
  { target, options, tenant }: Visit<Drift>,
  reference: Reference,
  { catalog, ignore }: References,
  look: Look,
): Promise<Drift | 'moved on'> {
  return withConnection(
    target,
    async (connection) => {
      const objects = await readCatalog(connection, catalog);
      const now = await readState(connection, options);
      if (now.fingerprint !== look.found.fingerprint) return 'moved on';
      const found = { database: tenant.database, objects };
      const differences = compareCatalogs(reference, found, ignore).filter(
        ({ change, kind, object }) => !(change === 'extra' && kind === 'table' && TOOL_TABLES.has(object)),
      );
      return { head: look.head, differences, sql: fixingSql(differences, reference.objects) };
    },
    { leave: true },
  );
}

/** So many drifts are remembered, for tenants that have the same one. */
const MOST_DRIFTS = 100;

/** What tenants are compared with: one reference for each history on each server, built when the first one needs it. */
class References {
  readonly #central: Central;
  readonly #options: Pick<VerifyOptions, 'signal' | 'cancel'>;
  readonly #built = new Map<string, Promise<Reference>>();
  readonly #drifts = new Map<string, Promise<Drift | 'moved on'>>();
  readonly catalog: CatalogOptions;
  readonly ignore: readonly string[];

  constructor(central: Central, { comments, ...options }: VerifyOptions) {
    this.#central = central;
    this.#options = options;
    const { history, pace, verify: wishes } = central.config;
    this.catalog = { history, comments: comments ?? false, lockTimeout: pace.lockTimeout };
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
            : 'verify applies the migrations to a new database on the same server. Make them apply there.',
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
