import { MpmError } from '../errors.ts';
import type { Connection } from '../postgres/connection.ts';
import { isServerError, SQLSTATE } from '../postgres/sqlstate.ts';
import {
  copyStanding,
  createHistory,
  type HistoryTable,
  lockGuard,
  type Premises,
  selectNewcomer,
  selectPremises,
  SELECT_CENTRAL,
  selectRows,
} from './history.ts';
import { type Copy, parseCopy } from './copy.ts';
import { fingerprintOf } from './fingerprint.ts';
import type { Migration } from './migration.ts';
import { type Plan, type PlanOptions, planAfter, planUp } from './plan.ts';
import type { HistoryRow } from './state.ts';
import { guardTrusted, isUntrusted, mayBeRead, refuseUntrusted } from './trust.ts';
import { type Admit, sendAdmitted } from './unit.ts';

/** A database as it was found: its history, or that it has none, and then what else is in it. */
export interface Found extends Copy {
  database: string;
  bootstrapped: boolean;
  /** Without a history: up to four names of objects that are in the way, those of extensions not counted. */
  objects: string[];
}

export interface ReadOptions extends PlanOptions {
  history: HistoryTable;
  central?: boolean;
}

/** Reads where a database stands, in one message; writes nothing and takes no lock (engine 26). */
export async function readStanding(connection: Connection, options: ReadOptions): Promise<Found> {
  const found = await standingOf(connection, options.history);
  if (found.database !== connection.database) {
    throw new MpmError(
      'WRONG_DATABASE',
      `connected to "${found.database}" where "${connection.database}" was meant`,
      {
        subject: connection.database,
        hint: 'A pooler maps this name to another database: give the server a directUrl, or mend the pooler.',
      },
    );
  }
  if (found.central && !options.central) {
    throw new MpmError('WRONG_DATABASE', `"${found.database}" is a central database, not a tenant's`, {
      subject: found.database,
      hint: "Mend the tenant's row: mpm-migrate tenant show <id> prints it.",
    });
  }
  return found;
}

async function standingOf(connection: Connection, history: HistoryTable): Promise<Found> {
  try {
    const { results, copied } = await connection.send(copyStanding(history, mayBeRead(history)));
    const database = String(results[0]?.rows[0]?.['database']);
    const copy = parseCopy(copied);
    return {
      ...copy,
      central: copy.central || (await isCentral(connection, copy)),
      database,
      bootstrapped: true,
      objects: [],
    };
  } catch (error) {
    if (isUntrusted(error)) await refuseUntrusted(connection, history);
    const missing: string[] = [SQLSTATE.undefinedSchema, SQLSTATE.undefinedTable];
    if (!isServerError(error) || !missing.includes(error.code)) throw error;
  }
  const [newcomer] = await connection.query<Found>(selectNewcomer(history));
  // Another runner may have created the history between the two queries.
  if (!newcomer || newcomer.bootstrapped) return standingOf(connection, history);
  return { ...newcomer, count: 0, last: 0, fingerprint: '' };
}

/** Rows say whose history it is; without any, the ledger beside it does. */
async function isCentral(connection: Connection, { count }: Copy): Promise<boolean> {
  if (count > 0) return false;
  const [row] = await connection.query<{ central: boolean }>(SELECT_CENTRAL);
  return row?.central ?? false;
}

/** The plan for a database as it was found. Its rows are read only when they are not just the first of the files. */
export async function planFor(
  connection: Connection,
  found: Found,
  migrations: readonly Migration[],
  options: ReadOptions,
): Promise<Plan> {
  const plain = !found.bootstrapped || fingerprintOf(migrations, found.count) === found.fingerprint;
  if (plain) return planAfter(migrations, found.count, options);
  return planUp(migrations, await readRows(connection, options.history), options);
}

/** What the head stamp of this database is written with. */
export async function readPremises(connection: Connection): Promise<Premises> {
  const own = 'd.datname = pg_catalog.current_database()';
  const [premises] = await connection.query<Premises>(selectPremises(own));
  return premises ?? { name: connection.database, comment: null, owner: false };
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
    else if (isServerError(error) && error.code === SQLSTATE.invalidText) return 'locked';
    throw error;
  }
}

/** A database with objects and no history is somebody's work: migrating it would collide, or worse (engine 24). */
export function refuseNonEmpty(found: Found): MpmError {
  const [first, ...others] = found.objects;
  const more = others.length > 2 ? ' and more' : others.length ? `, ${others.join(', ')}` : '';
  return new MpmError(
    'NOT_EMPTY',
    `"${found.database}" has no history, but it is not empty: ${first}${more}`,
    {
      subject: found.database,
      aftermath: 'nothing was changed here',
      hint: `If its schema is what your migrations up to NAME make: mpm-migrate baseline --tenant {tenant} --to NAME --write
If knex migrated it so far: mpm-migrate baseline --tenant {tenant} --from knex
Other tools whose tables are read: mpm-migrate baseline --help`,
    },
  );
}
