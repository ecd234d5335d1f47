import type { Connection } from '../postgres/connection.ts';
import { fingerprintOf } from './fingerprint.ts';
import { waitForLock } from './lock.ts';
import type { Migration } from './migration.ts';
import { applyOutside } from './outside.ts';
import type { Plan } from './plan.ts';
import { bootstrap, type Found, planFor, readStanding, refuseNonEmpty } from './read.ts';
import { refreshStamp, stampSql } from './restamp.ts';
import { type Stamp, stampOf } from './stamp.ts';
import { applyInTransaction } from './transaction.ts';
import { othersAtWork, outsideOf, perform, refused, waitOf, type Work } from './work.ts';

/** Brings one database up on an open connection. `again`: another runner moved the history on, it is read anew. */
export async function goUp(
  work: Work,
  connection: Connection,
  migrations: readonly Migration[],
): Promise<'finished' | 'again'> {
  const { options, result } = work;
  const found = await readStanding(connection, options);
  if (!found.bootstrapped && found.objects.length && !options.allowNonEmpty) throw refuseNonEmpty(found);
  const plan = await planFor(connection, found, migrations, options);
  if (result.applied.length === 0) result.from = plan.head;
  result.to = plan.head;
  result.pending = plan.pending.map(({ name }) => name);
  result.notices = plan.notices;
  if (plan.refusals.length) {
    if (await othersAtWork(work, connection, plan.refusals, found)) return 'again';
    throw refused(plan.refusals);
  }
  if (plan.pending.length === 0) {
    await refreshStamp(work, connection, found);
    return 'finished';
  }
  if (!found.bootstrapped && (await bootstrap(connection, options.history)) === 'locked') {
    await waitForLock(connection, options.history, waitOf(options));
    return 'again';
  }
  return applyAll(work, connection, found, plan, migrations);
}

async function applyAll(
  work: Work,
  connection: Connection,
  found: Found,
  plan: Plan,
  migrations: readonly Migration[],
): Promise<'finished' | 'again'> {
  const byName = new Map(plan.pending.map((migration) => [migration.name, migration]));
  const rows = new Map(plan.entries.flatMap(({ name, row }) => (row ? [[name, row]] : [])));
  let position = found.last;
  // The batch stamps in its last transaction, so that the stamp never runs ahead (engine 30).
  const scripts = plan.pending.map(({ up }) => up);
  const stamp = stampSql(work, found, stampAfterUp(found, plan, migrations), scripts);
  const last = plan.pending.at(-1)?.name;
  return perform(work, connection, 'up', [...byName.keys()], async (bench, name) => {
    const migration = byName.get(name);
    if (!migration) throw new Error(`${name} is not in the plan`);
    const leftover = rows.get(name);
    const at = leftover ?? position + 1;
    const outcome = migration.up.options.transaction
      ? await applyInTransaction(bench, migration, at, name === last ? stamp : undefined)
      : await applyOutside(bench, outsideOf(work), migration, at, name === last ? stamp : undefined);
    if (outcome === 'done' && !leftover) position += 1;
    return outcome;
  });
}

/** What the stamp will say when all that is pending is applied. */
function stampAfterUp(found: Found, plan: Plan, migrations: readonly Migration[]): Stamp {
  const { rows, pending } = plan;
  if (!rows) {
    const count = found.count + pending.length;
    return { count, fingerprint: fingerprintOf(migrations, count) ?? '' };
  }
  const coming = new Map(pending.map((migration) => [migration.name, migration]));
  const kept = rows.map((row) => {
    const again = coming.get(row.name);
    coming.delete(row.name);
    return again ? { name: row.name, checksum: again.checksum, state: 'applied' as const } : row;
  });
  return stampOf([
    ...kept,
    ...[...coming.values()].map(({ name, checksum }) => ({ name, checksum, state: 'applied' as const })),
  ]);
}
