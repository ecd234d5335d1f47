import { compareNames, type Order } from '../source/name.ts';
import type { Refusal } from '../remedy.ts';
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
  const found = contradiction(pairs, order);
  if (!found) return [];
  const { first, second, was } = found;
  return [
    {
      state: 'applied',
      names: [first, second],
      message: `${first} and ${second} were applied here in this order, and migrations.order "${order}" has ${second} before ${first}`,
      remedy: `Set it back in the configuration: ${settingOf(was)}`,
    },
  ];
}

/** Two migrations that were applied the other way round than an order has them, and the order that they were applied in. */
export interface Contradiction {
  first: string;
  second: string;
  was: Order;
}

/**
 * The first of these pairs that contradicts an order, if another order is right about all of them.
 * @param pairs of names, in the order in which they were applied
 * @param others the orders that can have been meant
 */
export function contradiction(
  pairs: readonly (readonly [string, string])[],
  order: Order,
  others: readonly Order[] = ['version', 'text'],
): Contradiction | undefined {
  const isIn = ([a, b]: readonly [string, string], which: Order) => compareNames(a, b, which) < 0;
  const pair = pairs.find((each) => !isIn(each, order));
  const was = pair && others.find((which) => pairs.every((each) => isIn(each, which)));
  return was && { first: pair[0], second: pair[1], was };
}

/** As it stands in the configuration. */
export function settingOf(order: Order): string {
  return `migrations: { order: '${order}' }`;
}

/** Whether a run applied, or a baseline recorded, the second right behind the first. */
function isNext(first: HistoryRow, second: HistoryRow): boolean {
  if (first.runId === null || first.runId !== second.runId || first.finishedAt === null) return false;
  const pause = Date.parse(second.startedAt) - Date.parse(first.finishedAt);
  return pause >= 0 && pause < NEXT;
}
