import { type DatabaseTarget, withConnection } from '../postgres/connect.ts';
import { databaseError } from '../postgres/refusal.ts';
import type { Migration } from './migration.ts';
import type { Plan } from './plan.ts';
import { planUp } from './plan.ts';
import { requireHistory, requireWhole } from './lost.ts';
import { planFor, readPremises, readRows, readStanding, type ReadOptions } from './read.ts';
import type { HistoryRow } from './state.ts';

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
  options: ReadOptions & { rows?: boolean; allowNonEmpty?: boolean },
): Promise<Inspection> {
  return withConnection(target, async (connection) => {
    const found = await readStanding(connection, options);
    requireHistory(found, options);
    if (!options.allowNonEmpty)
      await requireWhole(connection, options, found, await readPremises(connection));
    const { count, fingerprint } = found;
    if (!options.rows)
      return { plan: await planFor(connection, found, set.migrations, options), count, fingerprint };
    const rows = found.bootstrapped ? await readRows(connection, options.history) : [];
    return { plan: planUp(set.migrations, rows, options), count, fingerprint, rows };
  }).catch((error: unknown) => {
    throw databaseError(error, target.database ?? '');
  });
}
