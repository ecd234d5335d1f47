import type { Config } from '../../config/define.ts';
import { MpmError } from '../../errors.ts';
import { editHistory, type Change } from '../../engine/edit/edit-history.ts';
import { decideRepair, repairable } from '../../engine/edit/decide.ts';
import { describeUrl } from '../../postgres/connect.ts';
import { centralTarget } from '../make.ts';
import { centralMigrationSets } from './migration-sets.ts';
import { migrateOptions, noFolder } from './up.ts';

export interface CentralRepairOptions {
  /** `checksums`: changed files are taken for what was applied. `missing`: what has no file is forgotten. */
  kind: 'checksums' | 'missing';
  /** Which migrations; all that are so when none is named. */
  names?: readonly string[];
  /** Do it; without, it is only said. */
  write?: boolean;
  signal?: AbortSignal;
}

/** What `repair --central` did, or would do: what `--json` prints. */
export interface CentralRepairReport {
  verb: 'repair --central';
  database: string;
  write: boolean;
  changes: Pick<Change, 'action' | 'name' | 'why'>[];
}

/**
 * Makes the history of the product's own central migrations agree with the files again; runs nothing (fleet 42).
 * @throws MpmError USAGE when a name is not what `kind` says; FOLDER_MISSING, BUSY, errors of files
 */
export async function repairCentral(
  config: Config,
  { kind, names = [], write = false, ...options }: CentralRepairOptions,
): Promise<CentralRepairReport> {
  const set = (await centralMigrationSets(config)).find((each) => each.set === 'central');
  if (!set) throw noFolder(config);
  const { migrations, order } = set;
  const migrate = { ...migrateOptions(config, set, options), migrations, write };
  const { changes } = await editHistory(centralTarget(config), migrate, (rows) => {
    const found = repairable(migrations, rows, kind, order).map(({ name }) => name);
    const unmet = names.filter((name) => !found.includes(name));
    if (unmet.length) throw notSo(unmet, found, kind);
    return decideRepair(migrations, rows, kind, names, order);
  });
  const { database } = describeUrl(config.central.url);
  const said = changes.map(({ action, name, why }) => ({ action, name, why }));
  return { verb: 'repair --central', database, write, changes: said };
}

function notSo(
  unmet: readonly string[],
  found: readonly string[],
  kind: CentralRepairOptions['kind'],
): MpmError {
  const state = kind === 'missing' ? 'missing' : 'changed';
  return new MpmError('USAGE', `${unmet.join(', ')}: not ${state} in the central database`, {
    subject: unmet[0] ?? '',
    hint: found.length
      ? `These are: ${found.join(', ')}.`
      : `Nothing is ${state} there: there is nothing to repair.`,
  });
}
