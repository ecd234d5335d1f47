import { MpmError } from '../../errors.ts';
import { type DatabaseTarget, withConnection } from '../../postgres/connect.ts';
import type { Connection } from '../../postgres/connection.ts';
import { databaseError } from '../../postgres/sqlstate.ts';
import { type StampInput, selectStampInput, selectThere, tableName } from './history.ts';
import type { Migration } from '../migration.ts';
import { type Plan, planUp } from '../plan.ts';
import {
  type DatabaseState,
  readStampInput,
  readState,
  type ReadOptions,
  type StateOptions,
  planFor,
  readRows,
} from './read.ts';
import { parseStamp } from './stamp.ts';
import type { HistoryRow } from './state.ts';

/**
 * A database with objects and no history is somebody's work: migrating it would collide, or worse (engine 24). So is one
 * whose history is empty, unless it says that it is meant to be (engine 53).
 * @throws MpmError NOT_EMPTY
 */
export function requireHistory(
  found: DatabaseState,
  { allowNonEmpty }: { allowNonEmpty?: boolean | undefined },
): void {
  const { database, bootstrapped, count, objects, emptied } = found;
  if (allowNonEmpty || count > 0 || emptied || objects.length === 0) return;
  const [first, ...others] = objects;
  const more = others.length > 2 ? ' and more' : others.length ? `, ${others.join(', ')}` : '';
  const lacks = bootstrapped
    ? 'has an empty history: it was restored without the rows, or they were deleted'
    : 'has no history';
  throw new MpmError('NOT_EMPTY', `"${database}" ${lacks}; but the database is not empty: ${first}${more}`, {
    subject: database,
    aftermath: 'nothing was changed here',
    hint: `If its schema matches your migrations up to NAME: mpm-migrate baseline --tenant {tenant} --to NAME --write
If none of them is applied here: mpm-migrate baseline --tenant {tenant} --to 0 --write
If knex migrated it until now: mpm-migrate baseline --tenant {tenant} --from knex
Other supported tools: mpm-migrate baseline --help`,
  });
}

/**
 * Refuses a history that holds less than the head stamp says: a stamp is never ahead of its history (engine 53).
 * `again`: another runner has moved the history on since it was read.
 * @param premises as they were at any time; what they seem to say is looked at once more, both at one moment
 * @throws MpmError HISTORY_LOST
 */
export async function requireWhole(
  connection: Connection,
  options: StateOptions,
  found: DatabaseState,
  { comment }: Pick<StampInput, 'comment'>,
): Promise<'whole' | 'again'> {
  if (!saysMore(comment, found.count)) return 'whole';
  const now = await readState(connection, options);
  if (now.count !== found.count || now.bootstrapped !== found.bootstrapped) return 'again';
  if (!now.bootstrapped) {
    const { comment: by } = await readStampInput(connection);
    const [row] = await connection.query<{ there: boolean }>(selectThere(options.history));
    if (row?.there) return 'again';
    if (saysMore(by, 0)) throw lost(now, by);
    return 'whole';
  }
  const own = 'd.datname = pg_catalog.current_database()';
  const count = `(select count(*)::pg_catalog.int4 from ${tableName(options.history)})`;
  const [both] = await connection.query<StampInput & { count: number }>(
    selectStampInput(own, `${count} as count`),
  );
  if (both && saysMore(both.comment, both.count)) throw lost({ ...now, count: both.count }, both.comment);
  return 'whole';
}

function saysMore(comment: string | null, count: number): boolean {
  return (parseStamp(comment)?.count ?? 0) > count;
}

function lost({ database, count }: DatabaseState, comment: string | null): MpmError {
  const stamped = parseStamp(comment)?.count ?? 0;
  return new MpmError(
    'HISTORY_LOST',
    `the head stamp of "${database}" says ${stamped} applied, its history holds ${count}: it was restored from an older dump, or rows were deleted`,
    {
      subject: database,
      aftermath: 'nothing was changed here',
      hint: `If the history is right: mpm-migrate repair --tenant {tenant} --stamp --write
If its schema matches your migrations up to NAME: mpm-migrate baseline --tenant {tenant} --to NAME --write`,
    },
  );
}

/** One database, looked at. */
export interface Inspection {
  plan: Plan;
  /** How many migrations its history holds. */
  count: number;
  fingerprint: string;
  /** The whole history; only with `rows`. */
  rows?: HistoryRow[];
}

/** Looks at one database: writes nothing, takes no lock, needs only the right to read (engine 26). Throws MpmError. */
export async function inspect(
  target: DatabaseTarget,
  set: { migrations: readonly Migration[] },
  options: ReadOptions & {
    rows?: boolean;
    allowNonEmpty?: boolean;
    /** Looks at more of it, by its plan. */
    also?: (connection: Connection, plan: Plan) => Promise<void>;
  },
): Promise<Inspection> {
  return withConnection(target, async (connection) => {
    const found = await readState(connection, options);
    requireHistory(found, options);
    if (!options.allowNonEmpty)
      await requireWhole(connection, options, found, await readStampInput(connection));
    const { count, fingerprint } = found;
    if (!options.rows) {
      const plan = await planFor(connection, found, set.migrations, options);
      await options.also?.(connection, plan);
      return { plan, count, fingerprint };
    }
    const rows = found.bootstrapped ? await readRows(connection, options.history) : [];
    return { plan: planUp(set.migrations, rows, options), count, fingerprint, rows };
  }).catch((error: unknown) => {
    throw databaseError(error, target.database ?? '');
  });
}
