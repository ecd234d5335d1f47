import { MpmError } from '../errors.ts';
import type { Connection } from '../postgres/connection.ts';
import { invalidIndex } from './look-up.ts';
import type { Migration } from './migration.ts';
import { split } from './split.ts';

/**
 * What a CREATE INDEX CONCURRENTLY left half-built is never called applied (engine 11).
 * @throws MpmError PLAN_REFUSED naming the index
 */
export async function requireValidIndexes(connection: Connection, migration: Migration): Promise<void> {
  const { up } = migration;
  if (up.kind !== 'sql' || up.options.transaction) return;
  for (const { nature } of await split(up)) {
    const invalid = nature.trace.kind === 'index' && (await invalidIndex(connection, nature.trace));
    if (!invalid) continue;
    throw new MpmError('PLAN_REFUSED', `${migration.name} is not applied: its index ${invalid} is invalid`, {
      migration: migration.name,
      aftermath: 'nothing was changed here',
      hint: `Build it again: mpm-migrate resolve ${migration.name} --tenant {tenant} --retry`,
    });
  }
}
