import { startFrames } from './frames.ts';
import { startLines } from './lines.ts';
import type { Progress, ProgressOptions } from './state.ts';
import { canRepaint } from '../theme.ts';

/** Shows a run as it happens: a repainted frame on a terminal, plain lines elsewhere. Never slows the run. */
export function startProgress(
  options: Pick<ProgressOptions, 'stream' | 'env' | 'theme' | 'failureKey'> & Partial<ProgressOptions>,
): Progress {
  const { stream } = options;
  const all: ProgressOptions = {
    keep: false,
    clock: () => performance.now(),
    ...options,
    // Bound before others' writes on this stream are watched, so that our own pass them by.
    write: options.write ?? stream.write.bind(stream),
  };
  return canRepaint(all.stream, all.env) ? startFrames(all) : startLines(all);
}

/** Shows nothing (`--quiet`). */
export function noProgress(): Progress {
  return {
    onEvent: () => {},
    note: () => {},
    stopping: () => {},
    aside: (act) => act(),
    stop: () => Promise.resolve(),
  };
}
