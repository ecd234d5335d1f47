import { MpmError } from '../errors.ts';
import type { Environment } from './url.ts';

/** One of so many slices of a fleet, from 1. */
export interface Shard {
  index: number;
  of: number;
}

/** What CI systems say of parallel jobs, ours first; `from`: what they call the first one. */
const VARIABLES = [
  { index: 'MPM_SHARD_INDEX', of: 'MPM_SHARD_TOTAL', from: 0 },
  { index: 'CI_NODE_INDEX', of: 'CI_NODE_TOTAL', from: 1 },
  { index: 'BUILDKITE_PARALLEL_JOB', of: 'BUILDKITE_PARALLEL_JOB_COUNT', from: 0 },
  { index: 'CIRCLE_NODE_INDEX', of: 'CIRCLE_NODE_TOTAL', from: 0 },
  { index: 'JOB_COMPLETION_INDEX', of: 'MPM_SHARD_TOTAL', from: 0 },
] as const;

/**
 * `2/8`: the second of eight slices.
 * @throws MpmError USAGE
 */
export function parseShard(text: string): Shard {
  const [, index, of] = /^([1-9]\d{0,5})\/([1-9]\d{0,5})$/.exec(text) ?? [];
  if (index && of && Number(index) <= Number(of)) return { index: Number(index), of: Number(of) };
  throw new MpmError('USAGE', `--shard ${text}: not a slice`, {
    hint: 'For example: --shard 2/8, the second of eight; --shard auto reads CI variables.',
  });
}

/**
 * A slice as it is typed; `auto` becomes what the CI's own variables say.
 * @throws MpmError USAGE
 */
export function shardFrom(text: string, env: Environment): string {
  if (text !== 'auto') {
    parseShard(text);
    return text;
  }
  const whole = env['MPM_SHARD'];
  if (whole) {
    parseShard(whole);
    return whole;
  }
  for (const { index, of, from } of VARIABLES) {
    const [nth, total] = [env[index], env[of]];
    if (!nth) continue;
    if (/^\d{1,6}$/.test(nth) && total && /^[1-9]\d{0,5}$/.test(total)) {
      const shard = Number(nth) - from + 1;
      if (shard >= 1 && shard <= Number(total)) return `${shard}/${total}`;
    }
    throw new MpmError('USAGE', `--shard auto: ${index}=${nth} and ${of}=${total ?? ''} aren't a slice`, {
      hint: `Set both: ${index} counts from ${from}, ${of} is the number of jobs.`,
    });
  }
  throw new MpmError('USAGE', '--shard auto: no variable says which slice this is', {
    hint: `GitLab, Buildkite, and CircleCI set it for parallel jobs. In a GitHub Actions matrix, set
MPM_SHARD_INDEX: \${{ strategy.job-index }} and MPM_SHARD_TOTAL: \${{ strategy.job-total }}
In an indexed Kubernetes Job, set MPM_SHARD_TOTAL to its completions.`,
  });
}
