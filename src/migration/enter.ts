import { parseCopy } from './copy.ts';
import type { Standing } from './fence.ts';
import { copyStanding, SELECT_DATABASE } from './history.ts';
import { COPY_SCHEMAS, isPlain, reachOf, selectTableRow, type TableRow } from './shape.ts';
import { guardTrusted, isExamined, noteExamined } from './trust.ts';
import type { Bench } from './unit.ts';

/** Thrown where the history is not the one that was planned from: another runner has moved it on. */
export const MOVED = new Error('the history is not the one that was planned from');

/**
 * Begins a transaction that changes the history: takes the lock, looks behind it whether the history is ours and still
 * the one that was planned from (engine 34, 38), and asks who is to be asked. One message, unless the history is unusual.
 * @param opening begins the transaction and takes the lock, or fails
 * @throws MOVED; what the server and `bench.admit` say
 */
export async function enter(bench: Bench, opening: readonly string[], standing: Standing): Promise<void> {
  const { connection, history } = bench;
  // Behind a stamp that fits, a table that is ours, and in nobody else's reach, is as it was left.
  const glance = bench.foreseen === true && !isExamined(connection);
  const statements = [
    ...opening,
    ...(glance ? [] : guardTrusted(connection, history)),
    SELECT_DATABASE,
    ...(glance ? [selectTableRow(history), COPY_SCHEMAS] : []),
    copyStanding(history),
  ];
  const { results, copied } = await connection.raw(statements.join(';\n'));
  if (glance) {
    const row = results.at(-3)?.rows[0] as TableRow | undefined;
    const ours =
      reachOf(connection, history, copied[0] ?? '') === 'ours' && isPlain(connection, history, row);
    if (!ours) await connection.raw(guardTrusted(connection, history).join(';\n'));
  }
  noteExamined(connection);
  const database = results.at(glance ? -4 : -2)?.rows[0]?.['database'];
  const found = parseCopy(copied.at(-1) ?? '');
  const same = found.last === standing.last && found.fingerprint === standing.fingerprint;
  if (!same || database !== connection.database) throw MOVED;
  await bench.admit?.();
}
