/** How often the number of finished tenants is noted, and for how many ms back a rate is taken. */
const STEP = 250;
const SHORTEST_WINDOW = 5_000;
const LONGEST_WINDOW = 60_000;

/**
 * Estimates the time left from the rate of the last while, not of the whole run: tenants are uneven, lanes come
 * and go. Holds a bounded number of samples, whatever the fleet's size.
 */
export class Eta {
  readonly #samples: { at: number; done: number }[] = [];

  /** Notes how many tenants are done; `at` is ms since the start, and never goes back. */
  note(at: number, done: number): void {
    const last = this.#samples.at(-1);
    if (last && at - last.at < STEP) return;
    this.#samples.push({ at, done });
    while ((this.#samples[1]?.at ?? at) < at - LONGEST_WINDOW) this.#samples.shift();
  }

  /**
   * Ms left, or undefined while nothing meaningful can be said: at the start, when nothing ended for a while, and
   * at the end, when no tenant is left to be started and what is running may take any time.
   */
  left(now: { at: number; done: number; total: number; running: number }): number | undefined {
    const { at, done, total, running } = now;
    const remaining = total - done;
    if (at < 2_000 || done < Math.max(5, running) || remaining <= running) return undefined;
    const window = Math.min(LONGEST_WINDOW, Math.max(SHORTEST_WINDOW, at / 3));
    const from = this.#samples.findLast((sample) => sample.at <= at - window) ?? this.#samples[0];
    if (!from || at - from.at < 1_000 || done - from.done < 3) return undefined;
    return (remaining * (at - from.at)) / (done - from.done);
  }
}

/** `about 10s left`, rounder the further away it is; takes ms. */
export function aboutLeft(ms: number): string {
  const seconds = Math.ceil(ms / 1000);
  if (seconds <= 10) return `about ${seconds}s left`;
  if (seconds < 55) return `about ${Math.ceil(seconds / 5) * 5}s left`;
  const minutes = Math.ceil(seconds / 60);
  return minutes < 60
    ? `about ${minutes}m left`
    : `about ${Math.floor(minutes / 60)}h ${String(minutes % 60).padStart(2, '0')}m left`;
}
