import { createHash } from 'node:crypto';
import { fingerprintLine } from './fence.ts';
import type { Migration } from './migration.ts';

const known = new WeakMap<readonly Migration[], string[]>();

/**
 * The fingerprint of a history that holds exactly the first `count` of these migrations in their order; the
 * server computes the same over its rows. Computed once per list of migrations, not once per tenant.
 */
export function fingerprintOf(migrations: readonly Migration[], count: number): string | undefined {
  let prefixes = known.get(migrations);
  if (!prefixes) {
    const hash = createHash('sha256');
    prefixes = [hash.copy().digest('hex')];
    for (const migration of migrations)
      prefixes.push(hash.update(fingerprintLine(migration)).copy().digest('hex'));
    known.set(migrations, prefixes);
  }
  return prefixes[count];
}
