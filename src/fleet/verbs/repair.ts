import type { Config } from '../../config/define.ts';
import { MpmError } from '../../errors.ts';
import { decideRepair, decideStamp, repairable, type RepairKind } from '../../engine/edit/decide.ts';
import { readStampInput } from '../../engine/history/read.ts';
import { readFleetFiles } from '../files.ts';
import type { EditReport } from '../report/edit-report.ts';
import { editHistories, type EditOptions } from '../edit-histories.ts';
import type { Selection } from '../select.ts';

export interface RepairOptions extends EditOptions {
  /**
   * `checksums`: changed files are taken for what was applied. `missing`: what has no file is forgotten. `stamp`: the head
   * stamp says again what the history says; no names go with it.
   */
  kind: RepairKind;
  /** Which migrations; all that are so when none is named. */
  names?: readonly string[];
}

/**
 * Makes histories agree with the files again; runs nothing (engine 25). Without `write` it only shows what it
 * would do.
 * @throws MpmError USAGE when a name is in no tenant's history what `kind` says; and as `up`
 */
export async function repair(
  config: Config,
  selection: Selection,
  { kind, names = [], ...options }: RepairOptions,
): Promise<EditReport> {
  const files = await readFleetFiles(config);
  const { order } = config.migrations;
  const repaired = new Set<string>();
  const candidates = new Set<string>();
  const report = await editHistories(
    config,
    {
      name: 'repair',
      selection,
      files,
      async decide({ migrations, rows, connection, notice }) {
        if (kind === 'stamp') {
          const { comment, owner } = await readStampInput(connection);
          if (owner) return decideStamp(rows, comment);
          notice("no head stamp: the migrating user doesn't own the database");
          return [];
        }
        for (const { name } of repairable(migrations, rows, kind, order))
          if (candidates.size < 5) candidates.add(name);
        const changes = decideRepair(migrations, rows, kind, names, order);
        for (const { name } of changes) repaired.add(name);
        return changes;
      },
    },
    options,
  );
  const state = kind === 'missing' ? 'missing' : 'changed';
  const unmet = names.filter((name) => !repaired.has(name));
  if (unmet.length === 0 || report.interrupted) return report;
  const text = `${unmet.join(', ')}: not ${state} anywhere in ${report.selection}`;
  const untouched = report.counts.changed + report.counts.failed + report.counts.busy === 0;
  if (!untouched) return { ...report, notices: [...report.notices, text] };
  throw new MpmError('USAGE', text, {
    subject: unmet[0] ?? '',
    hint: candidates.size
      ? `These are: ${[...candidates].join(', ')}.`
      : `Nothing is ${state} there: there is nothing to repair.`,
  });
}
