import { MpmError } from '../../errors.ts';
import type { Connection } from '../../postgres/connection.ts';
import { isServerError, SQLSTATE } from '../../postgres/sqlstate.ts';
import { type HistorySummary, parseSummary } from './summary.ts';
import { isGuard } from './fence.ts';
import {
  copySummary,
  createHistory,
  FORMAT,
  GUARD,
  guard,
  type HistoryTable,
  type StampInput,
  SELECT_DATABASE,
  selectContents,
  selectStampInput,
  selectRows,
  tableName,
} from './history.ts';
import { lockGuard } from './lock-sql.ts';
import type { Migration } from '../migration.ts';
import type { Order } from '../source/name.ts';
import { planAfter, planKnown, remember } from '../known-plan.ts';
import { type Plan, type PlanOptions, planUp } from '../plan.ts';
import { COPY_SCHEMAS, reachOf } from './shape.ts';
import { stampOf } from './stamp.ts';
import type { HistoryRow } from './state.ts';
import { guardTrusted, isUntrusted, mayBeRead, refuseUntrusted } from './trust.ts';
import { type Admit, sendAdmitted } from '../apply/batch.ts';

/** A database as it was found: its history, or that it has none, and then what else is in it. */
export interface DatabaseState extends HistorySummary {
  database: string;
  bootstrapped: boolean;
  /** Without a row in its history: up to four names of objects that are in the way, those of extensions not counted. */
  objects: string[];
  /** The history is empty, and says that it is meant to be. */
  emptied: boolean;
}

export interface ReadOptions extends PlanOptions, StateOptions {
  order: Order;
}

/** What is read in the same message as the history; nobody is told that it can't be. */
export interface Rider {
  /** Its last statement is a COPY to stdout, its only one. */
  sql: string;
  take(copied: string): void;
}

/** Which history is read, and whether a central database may have it. */
export interface StateOptions {
  history: HistoryTable;
  central?: boolean;
  rider?: Rider | undefined;
}

/** Reads where a database stands, in one message; writes nothing and takes no lock (engine 26). */
export async function readState(connection: Connection, options: StateOptions): Promise<DatabaseState> {
  const found = await stateOf(connection, options.history, { rider: options.rider });
  if (found.database !== connection.database) {
    throw new MpmError(
      'WRONG_DATABASE',
      `connected to "${found.database}" where "${connection.database}" was meant`,
      {
        subject: connection.database,
        hint: 'A pooler maps this name to another database: set a directUrl for the server, or fix the pooler.',
      },
    );
  }
  if (found.format > FORMAT) throw newer(found);
  if (found.central && !options.central) {
    throw new MpmError('WRONG_DATABASE', `"${found.database}" is a central database, not a tenant's`, {
      subject: found.database,
      hint: "Fix the tenant's row. To show it: mpm-migrate tenant show <id>",
    });
  }
  return found;
}

/** An older version's table, and what is read with it. */
interface ReadHow {
  old?: boolean;
  rider?: Rider | undefined;
}

async function stateOf(
  connection: Connection,
  history: HistoryTable,
  how: ReadHow = {},
): Promise<DatabaseState> {
  const read = await copyOf(connection, history, how);
  if (read === 'older') return stateOf(connection, history, { ...how, old: true });
  if (read !== 'missing' && read.count > 0) {
    return { ...read, bootstrapped: true, objects: [], emptied: false };
  }
  // Rows say whose history it is; without any, what is beside it does.
  const [contents] = await connection.query<Contents>(selectContents(history));
  // Another runner may have created or dropped the history between the two queries.
  if (!contents || contents.bootstrapped !== (read !== 'missing')) return stateOf(connection, history);
  if (read !== 'missing' && contents.objects.length > 0) {
    // Objects may have come with their rows after the history was read: rows are looked for once more behind them.
    const now = await copyOf(connection, history, how);
    if (typeof now === 'object' && now.count > 0)
      return { ...now, bootstrapped: true, objects: [], emptied: false };
  }
  return { ...NOTHING, format: how.old ? 1 : FORMAT, ...contents };
}

const NOTHING = { count: 0, last: 0, fingerprint: stampOf([]).fingerprint };

type Contents = Pick<DatabaseState, 'database' | 'central' | 'bootstrapped' | 'objects' | 'emptied'>;

async function copyOf(
  connection: Connection,
  history: HistoryTable,
  how: ReadHow,
): Promise<(HistorySummary & { database: string }) | 'missing' | 'older'> {
  try {
    const { results, copied } = await connection.send(
      [SELECT_DATABASE, COPY_SCHEMAS, copySummary(history, how), ...(how.rider ? [how.rider.sql] : [])].join(
        ';\n',
      ),
    );
    const [schemas = '', summary = '', ridden] = copied;
    if (ridden !== undefined) how.rider?.take(ridden);
    // A table in a schema of ours, in which nobody else can create one, is ours.
    if (reachOf(connection, history, schemas) === 'unsure') {
      await connection.query(guard(mayBeRead(history), GUARD.untrusted));
    }
    return { ...parseSummary(summary), database: String(results[0]?.rows[0]?.['database']) };
  } catch (error) {
    // Which of the two it is about doesn't show.
    if (how.rider && isServerError(error) && !connection.lost)
      return copyOf(connection, history, { ...how, rider: undefined });
    if (isUntrusted(error)) await refuseUntrusted(connection, history);
    if (!isServerError(error)) throw error;
    if (error.code === SQLSTATE.undefinedColumn && !how.old) return 'older';
    const missing: string[] = [SQLSTATE.undefinedSchema, SQLSTATE.undefinedTable];
    // A view, or a table with other columns: then whose it is was not asked yet.
    const other: string[] = [SQLSTATE.undefinedColumn, SQLSTATE.wrongObjectType];
    if (other.includes(error.code)) {
      await refuseUntrusted(connection, history);
      throw notAHistory(connection, history, error.message);
    }
    if (!missing.includes(error.code)) throw error;
    return 'missing';
  }
}

function notAHistory({ database }: Connection, history: HistoryTable, why: string): MpmError {
  return new MpmError(
    'HISTORY_UNTRUSTED',
    `${history.schema}.${history.table} in "${database}" is no history of mpm-migrate: ${why}`,
    {
      subject: database,
      aftermath: 'nothing was changed here',
      hint: `Restore it from a backup; or, if nothing of it is needed: drop table ${tableName(history)};`,
    },
  );
}

function newer({ database, format }: DatabaseState): MpmError {
  return new MpmError(
    'HISTORY_NEWER',
    `the history of "${database}" has format ${format}: a newer version of mpm-migrate wrote it; this version supports ${FORMAT}`,
    {
      subject: database,
      aftermath: 'nothing was changed here',
      hint: 'Use that version, or the newest: npm install mpm-migrate@latest',
    },
  );
}

/** The plan for a database as it was found. Its rows are read only when they are not just the first of the files. */
export async function planFor(
  connection: Connection,
  found: DatabaseState,
  migrations: readonly Migration[],
  options: ReadOptions,
): Promise<Plan> {
  if (!found.bootstrapped) return planAfter(migrations, found.count, options);
  const known = planKnown(migrations, found, options);
  if (known) return known;
  const rows = await readRows(connection, options.history);
  // Between the two readings another runner may have moved it on.
  if (stampOf(rows).fingerprint === found.fingerprint) remember(migrations, found.fingerprint, rows, options);
  return planUp(migrations, rows, options);
}

/** What the head stamp of this database is written with. */
export async function readStampInput(connection: Connection): Promise<StampInput> {
  const own = 'd.datname = pg_catalog.current_database()';
  const [stampInput] = await connection.query<StampInput>(selectStampInput(own));
  return stampInput ?? { name: connection.database, comment: null, owner: false };
}

export async function readRows(connection: Connection, history: HistoryTable): Promise<HistoryRow[]> {
  return connection.query<HistoryRow>(selectRows(history));
}

/** Creates the history. `locked`: another runner is at it, or at work. */
export async function bootstrap(
  connection: Connection,
  history: HistoryTable,
  admit?: Admit,
): Promise<'done' | 'locked'> {
  try {
    const create = [createHistory(history), ...guardTrusted(connection, history), 'commit'];
    await sendAdmitted(connection, ['begin', lockGuard(history)], create, admit);
    return 'done';
  } catch (error) {
    if (!connection.lost) await connection.query('rollback');
    // Somebody else's schema may have been there.
    if (isUntrusted(error)) await refuseUntrusted(connection, history);
    else if (isGuard(error)) return 'locked';
    throw error;
  }
}
