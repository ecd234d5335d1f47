import { isGuard } from './fence.ts';
import { lockGuard, recordFailure } from './history.ts';
import { pause } from './lock.ts';
import type { Migration } from './migration.ts';
import { BEGIN, type Bench } from './unit.ts';

/** So often the lock is looked for: some minutes. */
const MOST_LOOKS = 300;

/**
 * Records that a migration ended the transaction that it was given. The lock ended with it: by now another runner may be
 * at work, or have applied this one itself.
 * @param open marks the head stamp open
 */
export async function recordEscape(
  { connection, history, applier }: Bench,
  migration: Migration,
  message: string,
  open: string | undefined,
): Promise<void> {
  const record = recordFailure(history, migration, applier, message);
  const statements = [BEGIN, lockGuard(history), record, ...(open ? [open] : []), 'commit'];
  for (let look = 0; ; look += 1) {
    try {
      await connection.send(statements.join(';\n'));
      return;
    } catch (error) {
      if (!connection.lost) await connection.query('rollback');
      if (!isGuard(error) || look >= MOST_LOOKS) throw error;
      await pause(look);
    }
  }
}
