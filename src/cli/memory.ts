import { getHeapSpaceStatistics, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

/** ms between two looks. */
const EVERY = 500;
/** Bytes that the old generation may grow by until what is dead in it is collected. */
const GROWTH = 2_000_000;

/**
 * Keeps the memory of a long run flat: by itself V8 lets tens of megabytes of dead objects gather, however little
 * of a fleet is in memory at once.
 * @returns what ends it
 */
export function keepMemoryFlat(): () => void {
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('globalThis.gc') as (() => void) | undefined;
  setFlagsFromString('--no-expose-gc');
  if (!collect) return () => undefined;
  let least = oldGeneration();
  const timer = setInterval(() => {
    if (oldGeneration() < least + GROWTH) return;
    collect();
    least = oldGeneration();
  }, EVERY).unref();
  return () => clearInterval(timer);
}

function oldGeneration(): number {
  return getHeapSpaceStatistics().find(({ space_name: name }) => name === 'old_space')?.space_used_size ?? 0;
}
