import type { Connection } from '../../postgres/connection.ts';
import type { Migration } from '../migration.ts';
import { revertOutside } from '../outside/outside.ts';
import { markEmptied } from '../history/history.ts';
import { headOf } from '../plan.ts';
import { type DownOptions, planDown } from '../plan-down.ts';
import { readRows, readState } from '../history/read.ts';
import { openStamp, stampInputOf, requireStamp, stampSql } from '../history/restamp.ts';
import { positionOf, stampOf } from '../history/stamp.ts';
import { isOld, takeOver } from '../history/takeover.ts';
import { type Reversion, revertInTransaction } from './transaction.ts';
import { attemptAtWork, othersAtWork, outsideOf, perform, refused, type AttemptContext } from './attempt.ts';

/** Takes back what was applied last, on an open connection. `again` as for up. */
export async function goDown(
  work: AttemptContext,
  connection: Connection,
  migrations: readonly Migration[],
  depth: DownOptions,
): Promise<'finished' | 'again'> {
  const { options, result } = work;
  const found = await readState(connection, options);
  if ((await requireStamp(work, connection, found)) === 'again') return 'again';
  const read = found.bootstrapped ? await readRows(connection, options.history) : [];
  const plan = planDown(migrations, read, depth);
  if (await attemptAtWork(work, connection, plan.rows)) return 'again';
  if (result.applied.length === 0) result.from = plan.head;
  result.to = plan.head;
  if (plan.refusals.length) {
    if (await othersAtWork(work, connection, plan.refusals, found)) return 'again';
    throw refused(plan.refusals);
  }
  if (plan.steps.length === 0) return 'finished';
  if (isOld(found, read, migrations)) {
    await takeOver(connection, found, read, migrations, options);
    return 'again';
  }
  const byName = new Map(plan.steps.map((step) => [step.row.name, step]));
  const stampInput = await stampInputOf(work, connection);
  let rows = plan.rows;
  return perform(work, connection, 'down', [...byName.keys()], {
    finish: async (context, [name = '']) => {
      const step = byName.get(name);
      const script = step?.migration.down;
      if (!step || !script) throw new Error(`${name} is not in the plan`);
      const left = rows.filter(({ name: other }) => other !== name);
      const stamp = stampSql(work, stampInput, stampOf(left), [script]);
      const reversion: Reversion = {
        ...step,
        script,
        position: positionOf(rows),
        open: stampSql(work, stampInput, openStamp(work), [script]),
        after: [...(stamp ? [stamp] : []), ...(left.length ? [] : [markEmptied(options.history)])],
      };
      if (!script.options.transaction) work.opened = true;
      const settled = script.options.transaction
        ? await revertInTransaction(context, reversion)
        : [{ name, outcome: await revertOutside(context, outsideOf(options), reversion) }];
      if (settled.every(({ outcome }) => outcome === 'done')) {
        rows = left;
        result.to = headOf(left);
      }
      return settled;
    },
  });
}
