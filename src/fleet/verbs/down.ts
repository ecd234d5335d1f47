import type { Config } from '../../config/define.ts';
import { MpmError } from '../../errors.ts';
import { attemptDown } from '../../engine/apply/migrate.ts';
import { readFleetFiles } from '../files.ts';
import type { RunReport } from '../report/report.ts';
import { type Selection, requireForceByName, requireSelection } from '../select.ts';
import { passing } from '../visit.ts';
import { type RunOptions, walk } from '../walk.ts';

export interface DownOptions extends RunOptions {
  /** How many migrations to take back; 1 when neither is given. */
  steps?: number;
  /** Take back all that was applied after this one, by name or version; `0` takes back everything. */
  to?: string;
  /** Also of a tenant that is not active, and past changed files; only with tenants selected by name. */
  force?: boolean;
  /** Also of one that is on hold. */
  includeHeld?: boolean;
  /** With the file as it is now, where it was changed after it had been applied. */
  acceptChanged?: boolean;
}

/**
 * Takes back what was applied last to every selected tenant; with `run` in the selection, what that run applied, and who
 * has gone on since is refused (confidence 11). Throws as `up` does.
 */
export async function down(
  config: Config,
  selection: Selection,
  options: DownOptions = {},
): Promise<RunReport> {
  const { steps, to, force, includeHeld, acceptChanged, ...runOptions } = options;
  const { run } = selection;
  requireSelection(selection);
  requireForceByName(selection, force);
  const depths = [
    steps === undefined ? [] : '--steps',
    to === undefined ? [] : '--to',
    run === undefined ? [] : '--run',
  ].flat();
  if (depths.length > 1) {
    throw new MpmError('USAGE', `${depths.join(' and ')} can't be combined`, { hint: 'Use one of them.' });
  }
  const files = await readFleetFiles(config);
  const past = { force, includeHeld, acceptChanged };
  return walk(
    config,
    {
      name: 'down',
      selection,
      files,
      past,
      passes: (tenant) => passing(tenant, past),
      visit: ({ target, migrations, options: how, before }) => {
        // What an attempt before this one took back counts against the steps.
        const left = (steps ?? 1) - (before?.applied.length ?? 0);
        const depth =
          run !== undefined ? { ofRun: String(run) } : to === undefined ? { steps: left } : { to };
        return attemptDown(target, { migrations }, { ...how, ...depth });
      },
    },
    runOptions,
  );
}
