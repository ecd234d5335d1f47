import { expect } from 'vitest';

/** ms of the processor; under it, the clock is too coarse. */
const LEAST = 30;

/**
 * Holds that work on four times as much takes about four times as long, and not sixteen times: in time of the processor,
 * because the machine may be busy with other things.
 * @param work on so much
 */
export function expectLinear(work: (size: number) => void, size: number): void {
  const effort = (of: number) => {
    const before = process.cpuUsage();
    work(of);
    return process.cpuUsage(before).user / 1000;
  };
  effort(size);
  const [small, large] = [effort(size), effort(4 * size)];
  expect(large).toBeLessThan(11 * Math.max(small, LEAST));
}
