import type { Config } from '../../config/define.ts';
import { attemptDown, attemptUp } from '../../engine/apply/migrate.ts';
import { decideResolve, type Resolution, requireHalfDone } from '../../engine/edit/decide.ts';
import { inspect } from '../../engine/history/lost.ts';
import { requireValidIndexes } from '../../engine/outside/look-up.ts';
import { MpmError } from '../../errors.ts';
import { editHistories, type EditOptions } from '../edit-histories.ts';
import { type FleetFiles, readFleetFiles } from '../files.ts';
import type { EditReport } from '../report/edit-report.ts';
import type { RunReport } from '../report/report.ts';
import { lookUpSingle } from '../single.ts';
import { walk } from '../walk.ts';

export interface ResolveOptions extends Omit<EditOptions, 'write' | 'concurrency'> {
  /** Id, name or database of the one tenant. */
  tenant: string;
  /**
   * What is true of it: `applied`, or `rolled-back`; or how it goes on: `retry` resumes it at the statement that failed or
   * was interrupted, `skip` behind that statement.
   */
  as: Resolution | 'retry' | 'skip';
}

/**
 * Ends the state of a migration that failed or was interrupted half-way in one tenant. What a person says is
 * recorded, and journalled; `retry` and `skip` are runs of their own, and touch no other migration.
 * @throws MpmError UNKNOWN_TENANT; USAGE when that migration is neither failed nor interrupted there
 */
export async function resolve(
  config: Config,
  name: string,
  { tenant: wanted, as, ...options }: ResolveOptions,
): Promise<EditReport | RunReport> {
  const files = await readFleetFiles(config);
  const { id } = await lookUpSingle(config, wanted);
  if (as === 'retry' || as === 'skip') return resume(config, name, id, files, as, options);
  const report = await editHistories(
    config,
    {
      name: 'resolve',
      selection: { tenants: [id] },
      files,
      async decide({ migrations, rows, connection }) {
        const changes = decideResolve(migrations, rows, name, as, config.migrations.order);
        const migration = migrations.find((each) => each.name === name);
        if (as === 'applied' && migration) await requireValidIndexes(connection, migration);
        return changes;
      },
    },
    { ...options, write: true },
  );
  throwUsage(report.failures);
  return report;
}

/** As `up --force`, limited to this one migration; or as its `down`, where that is what is half-done. */
async function resume(
  config: Config,
  name: string,
  id: string,
  files: FleetFiles,
  as: 'retry' | 'skip',
  options: Omit<EditOptions, 'write' | 'concurrency'>,
): Promise<RunReport> {
  const report = await walk(
    config,
    {
      name: 'resolve',
      selection: { tenants: [id] },
      files,
      past: { force: true },
      passes: () => '--force',
      async visit({ target, migrations, options: how }) {
        const { rows = [] } = await inspect(target, { migrations }, { ...how, rows: true });
        requireHalfDone(migrations, rows, name, config.migrations.order);
        const attempt = rows.find((row) => row.name === name)?.reverting ? attemptDown : attemptUp;
        return attempt(target, { migrations }, { ...how, only: name, resume: as });
      },
    },
    options,
  );
  throwUsage(report.failures);
  return report;
}

/** With a single tenant, what was asked wrongly is the caller's error, not the tenant's. */
function throwUsage(failures: RunReport['failures']): void {
  const error = failures[0]?.error;
  if (error?.code !== 'USAGE') return;
  const { message, hint, subject } = error;
  throw new MpmError('USAGE', message, { ...(hint && { hint }), ...(subject && { subject }) });
}
