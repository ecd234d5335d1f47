import { existsSync } from 'node:fs';
import type { Config } from '../../config/define.ts';
import { MpmError } from '../../errors.ts';
import type { HistoryTable } from '../../engine/history/history.ts';
import type { Migration } from '../../engine/migration.ts';
import type { Order } from '../../engine/source/name.ts';
import { builtInSets } from '../central.ts';
import { builtInMigrations } from './built-in.ts';

/** One set of migrations of the central database: our ledger, our registry, or the product's own. */
export interface CentralSet {
  set: 'ledger' | 'registry' | 'central';
  history: HistoryTable;
  order: Order;
  migrations: readonly Migration[];
}

/** All sets, files read and checked: ours first, then the product's own if it has a folder. */
export async function centralMigrationSets(config: Config): Promise<CentralSet[]> {
  const ours = builtInSets(config).map(({ set, list, history }): CentralSet => ({
    set,
    history: { ...history, owners: config.history.owners },
    order: 'version',
    migrations: builtInMigrations(set, list),
  }));
  const clash = ours.find(
    ({ history }) => history.schema === config.history.schema && history.table === config.history.table,
  );
  if (clash) {
    throw new MpmError(
      'CONFIG_INVALID',
      `history: ${clash.history.schema}.${clash.history.table} is mpm-migrate's own`,
      {
        subject: 'history',
        hint: 'Use another table for the history; the default is mpm_migrate.history.',
      },
    );
  }
  if (!existsSync(config.migrations.central)) return ours;
  const { readMigrations } = await import('../../engine/source/source.ts');
  const { migrations } = await readMigrations(config.migrations.central, 'central', config.migrations);
  return [...ours, { set: 'central', history: config.history, order: config.migrations.order, migrations }];
}
