import { compareNames, type Order, ORDERS } from '../source/name.ts';
import { listNames, type Refusal } from '../remedy.ts';
import type { HistoryRow } from './state.ts';

/** In a run, a migration begins so soon after the one before it, in ms; what takes longer proves nothing. */
const NEXT = 10_000;

/**
 * What refuses a history that was made in another order than the one that is set (histories 3): the new tenants' schemas
 * would come about in another way than the old ones'. Whatever else is applied late, one run applies in one order. So
 * it is refused when one run applied two migrations, one right behind the other, that the order has the other way round;
 * and one of the other orders is right about all such pairs of the history.
 * @param rows in the order of their positions
 */
export function refuseReordered(rows: readonly HistoryRow[], order: Order): Refusal[] {
  const pairs = rows.flatMap((second, index): [string, string][] => {
    const first = rows[index - 1];
    return first && isNext(first, second) ? [[first.name, second.name]] : [];
  });
  const isIn = (pair: [string, string], which: Order) => compareNames(...pair, which) < 0;
  const names = pairs.find((pair) => !isIn(pair, order));
  if (!names) return [];
  const was = ORDERS.find((which) => pairs.every((pair) => isIn(pair, which)));
  if (!was) return [];
  const [first, second] = names;
  return [
    {
      state: 'applied',
      names,
      message: `${listNames(names)} were applied here in this order, and migrations.order "${order}" has ${second} before ${first}`,
      remedy: `Set it back in the configuration: migrations: { order: '${was}' }`,
    },
  ];
}

/** Whether a run applied, or a baseline recorded, the second right behind the first. */
function isNext(first: HistoryRow, second: HistoryRow): boolean {
  if (first.runId === null || first.runId !== second.runId || first.finishedAt === null) return false;
  const pause = Date.parse(second.startedAt) - Date.parse(first.finishedAt);
  return pause >= 0 && pause < NEXT;
}
