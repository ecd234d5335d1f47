import type { Config } from '../../config/define.ts';
import { MpmError } from '../../errors.ts';
import { compareCatalogs, plainDifference } from '../../engine/catalog/compare.ts';
import { fixingSql } from '../../engine/catalog/fix.ts';
import {
  type CatalogOptions,
  copyFingerprint,
  parseFingerprint,
  readCatalog,
  readFingerprint,
} from '../../engine/catalog/query.ts';
import { SELECT_STAMP } from '../../engine/history/history.ts';
import { requireHistory, requireWhole } from '../../engine/history/lost.ts';
import { readRows, readStampInput, readState } from '../../engine/history/read.ts';
import { fingerprintOf, isUnchanged } from '../../engine/history/state.ts';
import type { Migration } from '../../engine/migration.ts';
import { listNames, remedyFor } from '../../engine/remedy.ts';
import { withConnection } from '../../postgres/connect.ts';
import type { Connection } from '../../postgres/connection.ts';
import { databaseError } from '../../postgres/sqlstate.ts';
import type { Reference } from '../../tenants/create/reference.ts';
import { TOOL_TABLES } from '../../dialects/other-tools.ts';
import { attemptOf, refOf, type TenantAttempt } from '../attempt.ts';
import { readFleetFiles } from '../files.ts';
import { type Drift, type Look, References } from '../references.ts';
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
      const notices = reference.version === look.version ? [] : [noticeOf(reference, look)];
      if (reference.fingerprint === look.fingerprint)
        return attemptOf({ outcome: 'current', from: head, to: head, notices });
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
      if (!first) return attemptOf({ outcome: 'current', from: head, to: head, notices });
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
      return { ...attemptOf({ outcome: 'drifted', from: head, to: head, notices, error }), detail: drift };
    }
  } catch (error) {
    throw databaseError(error, target.database ?? '');
  }
}

function noticeOf(reference: Reference, look: Look): string {
  const versions = `on PostgreSQL ${look.version}, and verify.reference on ${reference.version}`;
  return `${versions}: views, functions, defaults, and other expressions aren't compared`;
}

/** So many differences are in a tenant's error; all are in the report's groups. */
const SAID = 10;

/** Mostly in one message: the catalog rides with the history. */
async function readTenant(
  connection: Connection,
  { migrations, options, tenant }: Visit<Drift>,
  catalog: CatalogOptions,
): Promise<Look> {
  let ridden: ReturnType<typeof parseFingerprint> | undefined;
  const rider = {
    sql: copyFingerprint(catalog, SELECT_STAMP),
    take: (copied: string) => void (ridden = parseFingerprint(copied)),
  };
  const found = await readState(connection, { ...options, rider: options.rider ?? rider });
  requireHistory(found, { allowNonEmpty: false });
  const stamp = ridden ? { comment: ridden.text } : await readStampInput(connection);
  await requireWhole(connection, options, found, stamp);
  const applied =
    !found.bootstrapped || fingerprintOf(migrations, found.count) === found.fingerprint
      ? migrations.slice(0, found.count)
      : appliedOf(await readRows(connection, options.history), migrations, tenant.database);
  const head = applied.at(-1)?.name ?? null;
  const { version } = connection;
  const fingerprint = ridden?.fingerprint ?? (await readFingerprint(connection, catalog));
  return { found, applied, head, version, fingerprint };
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
      const sameVersion = reference.version === look.version;
      const differences = compareCatalogs(reference, found, { ignore, sameVersion }).filter(
        ({ change, kind, object }) => !(change === 'extra' && kind === 'table' && TOOL_TABLES.has(object)),
      );
      return { head: look.head, differences, sql: fixingSql(differences, reference.objects) };
    },
    { leave: true },
  );
}
