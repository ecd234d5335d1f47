import { setTimeout as sleep } from 'node:timers/promises';
import type { Attempt, MigrateOptions } from './migrate.ts';

/** ms before attempt number `attempt` + 1: exponential with full jitter, 250 ms doubling up to 30 s (engine 18). */
export function backoff(attempt: number): number {
  return Math.random() * Math.min(30_000, 250 * 2 ** (attempt - 1));
}

/** What two attempts at the same database came to together. */
export function joined(before: Attempt | undefined, after: Attempt): Attempt {
  if (!before?.applied.length) return after;
  const outcome = after.outcome === 'current' ? before.outcome : after.outcome;
  return { ...after, outcome, from: before.from, applied: [...before.applied, ...after.applied] };
}

/** Repeats what passes by itself, at most `pace.retries` times; for callers without lanes. */
export async function withRetries(
  options: Pick<MigrateOptions, 'pace' | 'signal'>,
  attempt: () => Promise<Attempt>,
): Promise<Attempt & { attempts: number }> {
  let result: Attempt | undefined;
  for (let attempts = 1; ; attempts += 1) {
    result = joined(result, await attempt());
    if (!result.retryable || attempts > options.pace.retries || options.signal?.aborted)
      return { ...result, attempts };
    await sleep(backoff(attempts));
  }
}
