import type { Config } from '../../config/define.ts';
import { MpmError } from '../../errors.ts';
import { attemptRehearsal, type RehearseOptions as EngineOptions } from '../../engine/rehearse/rehearse.ts';
import { type Duration, DURATION_FORM, parseDuration } from '../../pace.ts';
import { parseSize, type Size, SIZE_FORM } from '../../size.ts';
import { refOf, type TenantAttempt } from '../attempt.ts';
import { readFleetFiles } from '../files.ts';
import { Rehearsals } from '../report/rehearsals.ts';
import type { RehearseReport } from '../report/rehearse-report.ts';
import { lanesAt } from '../schedule/lanes-at.ts';
import { type Selection, requireForceByName, requireSelection } from '../select.ts';
import { passing } from '../visit.ts';
import { type RunOptions, walk } from '../walk.ts';
import type { UpOptions } from './up.ts';

export interface RehearseOptions
  extends
    Pick<RunOptions, 'concurrency' | 'signal' | 'cancel' | 'maxFailures' | 'failFast' | 'onEvent'>,
    Pick<UpOptions, 'to' | 'force' | 'outOfOrder' | 'includeHeld' | 'acceptChanged' | 'phase'> {
  /** A tenant in which others would be kept from a table for longer is cancelled; by default 2 s, 0: without limit. */
  lockLimit?: Duration;
  /** A tenant in which a larger table would be written anew isn't rehearsed; by default 1 GB. */
  maxSize?: Size;
  /** Run TypeScript migrations as well; what they do outside the database stays. */
  modules?: boolean;
}

/** So often at most a lock is tried for that somebody else has: each time, others wait behind it. */
const TRIES = 3;

/**
 * Runs what is pending on every selected tenant, and rolls it back. It is no run of the ledger: nothing is applied, and
 * `--failed` goes on to mean what failed. Throws only for what stops it before the first tenant.
 */
export async function rehearse(
  config: Config,
  selection: Selection,
  options: RehearseOptions = {},
): Promise<RehearseReport> {
  const { to, force, outOfOrder, includeHeld, acceptChanged, phase, lockLimit, maxSize, modules, ...rest } =
    options;
  const limits = limitsFrom({ lockLimit, maxSize, modules });
  const past = { force, outOfOrder, includeHeld, acceptChanged, phase };
  requireSelection(selection);
  requireForceByName(selection, force);
  const files = await readFleetFiles(config, to);
  const rehearsals = new Rehearsals(config.migrations.order);
  const report = await walk<{ tries: number }>(
    config,
    {
      name: 'rehearse',
      selection,
      files,
      past,
      failedOf: 'up',
      recorded: false,
      takesBehind: true,
      passes: (tenant) => passing(tenant, past),
      visit: async (visit) => {
        const started = performance.now();
        const { rehearsal, ...attempt } = await attemptRehearsal(
          visit.target,
          { migrations: visit.migrations },
          { ...visit.options, ...limits },
        );
        const tries = (visit.before?.detail?.tries ?? 0) + 1;
        const retryable = attempt.retryable && tries < TRIES;
        if (attempt.error) rehearsals.addFailed();
        else {
          const durationMs = performance.now() - started - rehearsal.reading;
          const concurrency = await lanesAt(visit.context, visit.tenant.server, rest.concurrency);
          rehearsals.add(refOf(visit.tenant), rehearsal, { durationMs, concurrency });
        }
        return { ...toldAs(attempt, rehearsal.unrehearsed), retryable, detail: { tries } };
      },
    },
    rest,
  );
  return { ...report, ...rehearsals.report() };
}

type RehearsalEnd = Omit<Awaited<ReturnType<typeof attemptRehearsal>>, 'rehearsal'>;

function toldAs(
  { outcome, ...attempt }: RehearsalEnd,
  unrehearsed: { name: string; reason: string } | undefined,
): TenantAttempt<never> {
  if (outcome !== 'unrehearsed') return { ...attempt, outcome };
  const { name, reason } = unrehearsed ?? { name: '', reason: '' };
  return { ...attempt, outcome: 'skipped', reason: `not rehearsed: ${name} ${reason}` };
}

/** @throws MpmError USAGE naming what is no duration, or no size */
function limitsFrom({
  lockLimit = '2s',
  maxSize = '1GB',
  modules = false,
}: {
  lockLimit?: Duration | undefined;
  maxSize?: Size | undefined;
  modules?: boolean | undefined;
}): Pick<EngineOptions, 'lockLimit' | 'maxSize' | 'withModules'> {
  const ms = parseDuration(lockLimit);
  if (ms === undefined) {
    throw new MpmError('USAGE', `--lock-limit ${lockLimit}: not a duration`, {
      hint: `Use ${DURATION_FORM}.`,
    });
  }
  const bytes = parseSize(maxSize);
  if (bytes === undefined) {
    throw new MpmError('USAGE', `--max-size ${maxSize}: not a size`, { hint: `Use ${SIZE_FORM}.` });
  }
  return { lockLimit: ms, maxSize: bytes, withModules: modules };
}
