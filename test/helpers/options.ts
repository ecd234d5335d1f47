import type { MigrateOptions } from '../../src/engine/apply/migrate.ts';

/** Options of the engine that a test wants: nothing waits for long, nothing is tried again. */
export const OPTIONS: MigrateOptions = {
  history: { schema: 'mpm_migrate', table: 'history' },
  order: 'version',
  pace: {
    lockTimeout: 1000,
    statementTimeout: 0,
    idleInTransactionTimeout: 60_000,
    lockWait: 10_000,
    retries: 0,
    connectTimeout: 5000,
  },
  run: '7',
  toolVersion: '0.0.0-test',
};

export function targetOf(url: string) {
  return { url, applicationName: 'mpm-migrate/7/42', connectTimeout: 5000 };
}
