/** Upper ends in ms: 1, 2 and 5 of every power of ten, for durations of milliseconds and of hours in one picture. */
const ENDS = [10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 6e4, 12e4, 3e5, 6e5, 18e5, 36e5, Infinity];

export interface DurationBar {
  /** `0.1–0.2s`, as a label under the bar. */
  label: string;
  count: number;
}

/** How many tenants took how long; of fixed size, whatever the fleet's. */
export class Durations {
  readonly #counts = ENDS.map(() => 0);

  add(ms: number): void {
    const at = ENDS.findIndex((end) => ms < end);
    this.#counts[at] = (this.#counts[at] ?? 0) + 1;
  }

  /** From the first to the last that is not empty. */
  bars(): DurationBar[] {
    const first = this.#counts.findIndex((count) => count > 0);
    const last = this.#counts.findLastIndex((count) => count > 0);
    if (first < 0) return [];
    return ENDS.slice(first, last + 1).map((end, index) => ({
      label: end === Infinity ? '> 1h' : `< ${short(end)}`,
      count: this.#counts[first + index] ?? 0,
    }));
  }
}

function short(ms: number): string {
  if (ms < 1000) return `${ms}ms`;
  if (ms < 60_000) return `${ms / 1000}s`;
  return ms < 3_600_000 ? `${ms / 60_000}m` : '1h';
}
