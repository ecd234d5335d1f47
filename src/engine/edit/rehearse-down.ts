import { MpmError } from '../../errors.ts';
import { type DatabaseTarget, withConnection } from '../../postgres/connect.ts';
import { SESSION_SETTINGS } from '../../postgres/settings.ts';
import { isServerError, isTransient } from '../../postgres/sqlstate.ts';
import { planDown } from '../plan-down.ts';
import type { Migration, SqlScript } from '../migration.ts';
import type { HistoryRow } from '../history/state.ts';
import { BEGIN, RESTORE, setTimeouts } from '../apply/batch.ts';
import type { MigrateOptions } from '../apply/attempt.ts';

/**
 * Takes all of a plugin's migrations back in one transaction, which is rolled back: each is taken back in one of its
 * own, and what depends on the last of them would be met when the first are gone (fleet 42). Only where all are SQL
 * that runs in a transaction, and more than one.
 * @throws MpmError PLAN_REFUSED naming what the server says
 */
export async function rehearseDown(
  target: DatabaseTarget,
  migrations: readonly Migration[],
  rows: readonly HistoryRow[],
  { pace, admit, ...options }: MigrateOptions & { plugin: string; leaveLater?: boolean | undefined },
): Promise<void> {
  const { plugin, leaveLater = false, order } = options;
  const { steps, refusals } = planDown(migrations, rows, { plugin, leaveLater, order });
  const scripts = steps.flatMap(({ migration: { down } }) =>
    down?.kind === 'sql' && down.options.transaction ? [down] : [],
  );
  if (refusals.length || scripts.length < 2 || scripts.length < steps.length) return;
  await withConnection(target, async (connection) => {
    const { opening } = await connection.settingsAround();
    await admit?.();
    const each = ({ sql, options: own }: SqlScript) => [
      ...opening,
      ...SESSION_SETTINGS,
      ...setTimeouts(pace, own),
      sql,
      ...RESTORE,
    ];
    const message = [BEGIN, ...scripts.flatMap(each), 'rollback'].join('\n;\n');
    try {
      await connection.raw(message);
    } catch (error) {
      if (connection.lost || !isServerError(error)) throw error;
      await connection.query('rollback');
      // The real attempt waits, and is done again.
      if (isTransient(error)) return;
      const detail = error.detail === undefined ? '' : `: ${error.detail.replaceAll('\n', '; ')}`;
      throw new MpmError('PLAN_REFUSED', `${plugin} cannot be reverted here: ${error.message}${detail}`, {
        subject: plugin,
        cause: error,
        aftermath: 'nothing was changed here',
        hint: `Remove what depends on it, and then: mpm-migrate plugin uninstall ${plugin} --down --tenant {tenant}`,
      });
    }
  });
}
