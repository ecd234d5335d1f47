import type { Central } from '../../central/central.ts';
import type { TenantFilter } from '../../central/list/filter.ts';
import { pickTenants, countTenants, pagesOfTenants } from '../../central/list/tenants.ts';
import { resultOf, skipped } from '../attempt.ts';
import type { WalkContext } from '../context.ts';
import { amountOf, failureBudget } from './limit.ts';
import type { RunCounts, WaveReport } from '../report/report.ts';
import type { Survey, SweepOptions } from './sweep.ts';
import { streamSerialized } from './serialize.ts';

/** A part of a run that begins when the one before it ended well enough (fleet 5). */
export interface Wave extends Survey {
  name: string;
  concurrency?: number | undefined;
  /** So many failures, or a share of the wave: no further tenant is started, and no further wave. */
  maxFailures?: number | string | undefined;
}

/** What is asked between two waves. */
export interface WaveQuestion {
  previous: WaveReport;
  next: { name: string; total: number };
}

export interface WaveOptions {
  /** So many tenants first, or a share of all like `1%`; the others only when none of them failed. */
  canary?: number | string;
  /** Asked before each wave but the first; false: nothing more is started. */
  beforeWave?: (question: WaveQuestion) => Promise<boolean>;
}

/**
 * The waves of a run, those without tenants left out; none when all go in one.
 * @param configured false: only the canary, whatever the configuration says
 */
export async function planWaves(
  central: Central,
  whole: Survey,
  { canary, configured }: { canary: WaveOptions['canary'] | undefined; configured: boolean },
): Promise<Wave[]> {
  const named: Omit<Wave, keyof Survey>[] = [];
  const filters: TenantFilter[] = [];
  if (canary !== undefined) {
    const most = amountOf('--canary', canary, whole.total);
    named.push({ name: 'canary', maxFailures: 1 });
    filters.push({ ids: await pickTenants(central, whole.filter, most) });
  }
  for (const { labels, ...wave } of (configured && central.config.waves) || []) {
    named.push(wave);
    filters.push({ labels });
  }
  if (named.length === 0) return [];
  const waves: Wave[] = [];
  for (const [at, wave] of [...named, { name: 'rest' }].entries()) {
    const own = filters[at];
    const filter = {
      ...whole.filter,
      and: [...(whole.filter.and ?? []), ...(own ? [own] : [])],
      not: [...(whole.filter.not ?? []), ...filters.slice(0, at)],
    };
    const servers = await countTenants(central, filter);
    const total = servers.reduce((sum, { count }) => sum + count, 0);
    if (total > 0) waves.push({ ...wave, filter, servers, total });
  }
  return waves;
}

/** Runs one wave after the other; what is not begun is counted as skipped, with the reason. */
export async function runWaves(
  context: WalkContext,
  waves: readonly Wave[],
  options: SweepOptions & WaveOptions,
  take: (wave: Wave, options: SweepOptions) => Promise<void>,
): Promise<void> {
  const { report, tell, signal } = context;
  const total = waves.reduce((sum, wave) => sum + wave.total, 0);
  const most = options.failFast ? 1 : failureBudget(options.maxFailures, total);
  let failures = 0;
  let held: string | undefined;
  report.waves = [];
  for (const wave of waves) {
    const previous = report.waves.at(-1);
    const { name } = wave;
    if (!held && previous && !signal?.aborted && options.beforeWave) {
      const goOn = await options.beforeWave({ previous, next: { name, total: wave.total } });
      if (!goOn) {
        held = `not tried: stopped before wave "${name}"`;
        report.stopped = true;
      }
    }
    const before = { ...report.counts };
    const started = Date.now();
    if (held) {
      await skipWave(context, wave, held);
    } else {
      if (!signal?.aborted) tell({ type: 'wave-started', name, total: wave.total });
      const limit = Math.min(failureBudget(wave.maxFailures, wave.total), most - failures);
      const { maxFailures: _, failFast: __, ...rest } = options;
      await take(wave, {
        ...rest,
        ...(limit === Infinity ? {} : { maxFailures: limit }),
        ...(options.concurrency === undefined ? { concurrency: wave.concurrency } : {}),
      });
    }
    const counts = difference(report.counts, before);
    const failed = counts.failed + counts.refused + counts.busy;
    failures += failed;
    const allowed = wave.maxFailures === undefined ? 1 : failureBudget(wave.maxFailures, wave.total);
    const well = failed < allowed;
    const outcome = held ? 'skipped' : signal?.aborted ? 'interrupted' : well ? 'done' : 'failed';
    const ended: WaveReport = { name, outcome, counts, durationMs: Date.now() - started };
    report.waves.push(ended);
    if (!held) tell({ type: 'wave-finished', wave: ended });
    if (failures >= most) held ??= 'not tried: too many had failed';
    else if (!held && !well && !signal?.aborted) {
      held = `not tried: wave "${name}" failed: ${failed} of ${wave.total} failed`;
    }
  }
}

async function skipWave({ central, finish }: WalkContext, wave: Wave, reason: string): Promise<void> {
  for await (const tenant of streamSerialized(central, pagesOfTenants(central, wave.filter))) {
    await finish(resultOf(tenant, skipped(reason), 0));
  }
}

function difference(after: Readonly<RunCounts>, before: Readonly<RunCounts>): RunCounts {
  const keys = Object.keys(after) as (keyof RunCounts)[];
  return Object.fromEntries(
    keys.map((key) => [key, (after[key] ?? 0) - (before[key] ?? 0)]),
  ) as unknown as RunCounts;
}
