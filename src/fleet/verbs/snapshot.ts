import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { withCentral } from '../../central/central.ts';
import { tenantProblem } from '../../central/list/problem.ts';
import { findTenant } from '../../central/list/tenants.ts';
import type { Tenant } from '../../central/list/tenant.ts';
import { environment } from '../../config/load.ts';
import type { Config } from '../../config/define.ts';
import { TOOL_TABLES } from '../../dialects/other-tools.ts';
import { compareCatalogs } from '../../engine/catalog/compare.ts';
import {
  type CatalogObject,
  type CatalogOptions,
  readCatalog,
  readFingerprint,
} from '../../engine/catalog/query.ts';
import type { HistoryTable } from '../../engine/history/history.ts';
import { requireHistory, requireWhole } from '../../engine/history/lost.ts';
import { type DatabaseState, readRows, readStampInput, readState } from '../../engine/history/read.ts';
import { fingerprintOf, type HistoryRow, isUnchanged } from '../../engine/history/state.ts';
import type { Migration } from '../../engine/migration.ts';
import { listFolder } from '../../engine/source/layout.ts';
import { nextName } from '../../engine/source/next-name.ts';
import { oneError } from '../../engine/source/problems.ts';
import { replacesLine, snapshotOf } from '../../engine/source/snapshot.ts';
import { parseSqlFile } from '../../engine/source/sql-file.ts';
import { MpmError, stopIfAborted } from '../../errors.ts';
import type { Connection } from '../../postgres/connection.ts';
import { withConnection } from '../../postgres/connect.ts';
import { databaseError } from '../../postgres/sqlstate.ts';
import { type DumpProgram, findDump } from '../../postgres/pg-dump.ts';
import { idWord } from '../../shell-word.ts';
import { dumpSchema } from '../../tenants/schema-dump.ts';
import { attemptOf, refOf, type TenantAttempt } from '../attempt.ts';
import type { OnEvent } from '../events.ts';
import { readFleetFiles } from '../files.ts';
import { Groups } from '../report/groups.ts';
import type { SnapshotDifference, SnapshotReport } from '../report/snapshot-report.ts';
import type { SweepOptions } from '../schedule/sweep.ts';
import type { Selection } from '../select.ts';
import { targetOf, type Visit } from '../visit.ts';
import { walk } from '../walk.ts';

export interface SnapshotOptions extends Pick<SweepOptions, 'concurrency' | 'signal'> {
  /** Who is compared with it; default: all. */
  selection?: Selection;
  /** Tables whose rows are taken along: `name`, or `schema.name`. */
  withData?: readonly string[];
  /** Also rights; by default it grants none. */
  privileges?: boolean;
  /** The program; by default the one on the PATH. */
  pgDump?: string;
  /** Write the file; without, it is only shown what it would be. */
  write?: boolean;
  onEvent?: OnEvent;
}

/** So many lines of a difference are said. */
const SAID = 20;

/**
 * Writes a tenant's schema into the core folder as what its migrations make, so that new tenants come from it (histories
 * 7). Nothing is written to a tenant; those that hold other migrations, or have another schema, are listed.
 * @param wanted id, name or database
 * @throws MpmError UNKNOWN_TENANT; USAGE when its history isn't the first of the core migrations, or for pg_dump;
 *   PROVISION_FAILED, MIGRATION_INVALID for what pg_dump wrote; as `up` for files
 */
export async function snapshot(
  config: Config,
  wanted: string,
  { selection = { all: true }, write = false, ...options }: SnapshotOptions = {},
): Promise<SnapshotReport> {
  const { withData = [], privileges = false, pgDump = 'pg_dump', signal, ...rest } = options;
  stopIfAborted(signal);
  const files = await readFleetFiles(config);
  const { migrations } = files.core;
  const { tenant, opened } = await withCentral(config, async (central) => ({
    tenant: await findTenant(central, wanted),
    opened: central.config,
  }));
  const problem = tenantProblem(tenant, config);
  if (problem) throw problem;
  const catalog = { history: opened.history, comments: false, lockTimeout: opened.pace.lockTimeout };
  const model = await readModel(opened, tenant, migrations, {
    catalog,
    pgDump,
    dump: { withData, privileges, env: environment(), signal },
  });
  const { stretch, program } = model;
  const path = join(config.migrations.core, `${snapshotName(config)}.sql`);
  const text = `${replacesLine(stretch)}\n${snapshotOf(model.sql)}`;
  const { problems } = parseSqlFile(path, text);
  if (problems.length) throw oneError(config.root, problems);

  const counts = { total: 0, equal: 0, beyond: 0, different: 0, failed: 0, skipped: 0 };
  const groups = new Groups<Omit<SnapshotDifference, 'count' | 'tenants'>>();
  const report = await walk<Comparison>(
    config,
    {
      name: 'baseline',
      selection,
      files,
      failedOf: 'up',
      recorded: false,
      passes: ({ status }) => status === 'hold' || undefined,
      visit: (visit) => compareWith(visit, model, catalog, opened.verify?.ignore),
      gather: ({ outcome }, { detail }, row) => {
        counts.total += 1;
        if (!detail) counts[outcome === 'skipped' ? 'skipped' : 'failed'] += 1;
        else if (typeof detail === 'string') counts[detail] += 1;
        else {
          counts.different += 1;
          groups.add(refOf(row), JSON.stringify(detail), () => detail);
        }
      },
    },
    { ...rest, signal },
  );
  const { error, interrupted } = report;
  const writes = write && !error && !interrupted;
  if (writes) writeNew(path, text);
  return {
    verb: 'baseline',
    selection: report.selection,
    write: writes,
    toolVersion: report.toolVersion,
    startedAt: report.startedAt,
    durationMs: report.durationMs,
    interrupted,
    path,
    bytes: Buffer.byteLength(text),
    tenant: refOf(tenant),
    first: stretch[0]?.name ?? '',
    last: stretch.at(-1)?.name ?? '',
    replaces: stretch.length,
    pgDump: program,
    counts,
    differences: groups.list().map(({ what, count, tenants }) => ({ ...what, count, tenants })),
    others: groups.others,
    failures: report.failures,
    notices: report.notices,
    ...(error ? { error } : {}),
  };
}

/** The tenant that the snapshot is of. */
interface Model {
  tenant: Tenant;
  stretch: readonly Migration[];
  fingerprint: string;
  schema: string;
  objects: CatalogObject[];
  /** The server's major version. */
  version: number;
  program: DumpProgram;
  sql: string;
}

async function readModel(
  config: Config,
  tenant: Tenant,
  migrations: readonly Migration[],
  {
    catalog,
    pgDump,
    dump,
  }: { catalog: CatalogOptions; pgDump: string; dump: Parameters<typeof dumpSchema>[4] },
): Promise<Model> {
  const target = targetOf(tenant, config, 'snapshot');
  const read = async (connection: Connection): Promise<Model> => {
    const found = await readWhole(connection, config);
    const stretch = migrations.slice(0, found.count);
    if (found.count === 0 || fingerprintOf(migrations, found.count) !== found.fingerprint)
      throw notCore(tenant, found, await lackOf(connection, config, found, migrations));
    const program = await findDump(pgDump, connection.version);
    const sql = await dumpSchema(config, program, target, connection, dump);
    const schema = await readFingerprint(connection, catalog);
    const objects = await readCatalog(connection, catalog);
    const now = await readState(connection, { history: config.history });
    if (now.fingerprint !== found.fingerprint) {
      throw new MpmError('BUSY', `${tenant.name} was migrated while its schema was read`, {
        subject: tenant.name,
        aftermath: 'nothing was written',
        hint: 'Try again when that run has ended.',
      });
    }
    return {
      tenant,
      stretch,
      fingerprint: found.fingerprint,
      schema,
      objects,
      version: connection.version,
      program,
      sql,
    };
  };
  return withConnection(target, read).catch((error: unknown) => {
    throw databaseError(error, tenant.database);
  });
}

async function readWhole(connection: Connection, { history }: Config): Promise<DatabaseState> {
  const found = await readState(connection, { history });
  requireHistory(found, {});
  await requireWhole(connection, { history }, found, await readStampInput(connection));
  return found;
}

function notCore({ name, id }: Tenant, { count }: DatabaseState, lines: readonly string[]): MpmError {
  const why = count === 0 ? 'nothing is applied there' : lines.slice(0, 5).join('; ');
  return new MpmError('USAGE', `${name} (${id}) doesn't hold the core migrations from the first on: ${why}`, {
    subject: name,
    aftermath: 'nothing was written',
    hint: `Choose a tenant without migrations of its own, or of plugins. Look: mpm-migrate status --tenant ${idWord(id)}`,
  });
}

/** `equal` and `beyond` as in {@link SnapshotReport}; else what is different. */
type Comparison = 'equal' | 'beyond' | Pick<SnapshotDifference, 'of' | 'differences'>;

async function compareWith(
  { target, migrations, options, tenant }: Visit<Comparison>,
  { stretch, fingerprint, schema, objects, tenant: model, version }: Model,
  catalog: CatalogOptions,
  ignore: readonly string[] = [],
): Promise<TenantAttempt<Comparison>> {
  const detail = await withConnection(
    target,
    async (connection): Promise<Comparison> => {
      const found = await readState(connection, options);
      requireHistory(found, {});
      if (found.fingerprint !== fingerprint) {
        const isFirst = fingerprintOf(migrations, stretch.length) === fingerprint;
        if (
          isFirst &&
          found.count > stretch.length &&
          fingerprintOf(migrations, found.count) === found.fingerprint
        )
          return 'beyond';
        const lines = await lackOf(connection, { history: options.history }, found, stretch, stretch.length);
        return lines.length ? { of: 'history', differences: lines.slice(0, SAID) } : 'beyond';
      }
      if ((await readFingerprint(connection, catalog)) === schema) return 'equal';
      const there = { database: tenant.database, objects: await readCatalog(connection, catalog) };
      const lines = compareCatalogs({ database: model.database, objects }, there, {
        ignore,
        sameVersion: connection.version === version,
      })
        .filter(({ kind, object }) => !(kind === 'table' && TOOL_TABLES.has(object)))
        .map(({ message }) => message);
      return lines.length ? { of: 'schema', differences: lines.slice(0, SAID) } : 'equal';
    },
    { leave: true },
  ).catch((error: unknown) => {
    throw databaseError(error, tenant.database);
  });
  return { ...attemptOf({ outcome: typeof detail === 'string' ? 'current' : 'pending' }), detail };
}

/** In what a history isn't just these migrations, and perhaps more behind the first `most` rows. */
async function lackOf(
  connection: Connection,
  { history }: { history: HistoryTable },
  found: DatabaseState,
  stretch: readonly Migration[],
  most?: number,
): Promise<string[]> {
  const rows = found.bootstrapped ? await readRows(connection, history) : [];
  const byName = new Map(rows.map((row) => [row.name, row]));
  const known = new Set(stretch.map(({ name }) => name));
  const isDone = ({ state }: HistoryRow) => state === 'applied' || state === 'baseline';
  const last = stretch.findLastIndex(({ name }) => byName.has(name));
  return [
    ...stretch.flatMap((migration, index) => {
      const row = byName.get(migration.name);
      if (!row) return [`lacks ${migration.name}${index < last ? ', and holds later ones' : ''}`];
      if (!isDone(row)) return [`${migration.name} is half-done`];
      return isUnchanged(row.checksum, migration) ? [] : [`${migration.name} was another file there`];
    }),
    ...rows
      .slice(0, most)
      .flatMap(({ name }) => (known.has(name) ? [] : [`holds ${name}, which isn't one of them`])),
  ];
}

/** Behind the last file, in its form: so it has nobody's version. What it stands for, its first line says. */
function snapshotName({ migrations: { core, order, ...naming } }: Config): string {
  const { migrations } = listFolder(core, { order, ...naming });
  const names = migrations.map(({ name }) => name);
  try {
    // Flyway would run what is called like its own.
    return nextName('snapshot', { names, order, now: new Date() })
      .replace(/^V(?=[\d._]+__)/, '')
      .replace('__', '_');
  } catch (error) {
    if (!(error instanceof MpmError) || error.code !== 'MIGRATION_NAME') throw error;
    return 'snapshot';
  }
}

function writeNew(path: string, text: string): void {
  try {
    mkdirSync(join(path, '..'), { recursive: true });
    writeFileSync(path, text, { flag: 'wx' });
  } catch (error) {
    throw new MpmError('FILE_SYSTEM', `${path} can't be written: ${(error as Error).message}`, {
      subject: path,
      cause: error,
      hint: 'Check the folder and its permissions.',
    });
  }
}
