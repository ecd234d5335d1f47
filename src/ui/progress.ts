import type { OnEvent } from '../fleet/events.ts';
import { startFrames } from './progress-frames.ts';
import { startLines } from './progress-lines.ts';
import type { FailureKey } from './progress-state.ts';
import { canRepaint, type DisplayEnvironment, type Theme } from './theme.ts';

/** The progress of one run. */
export interface Progress {
  onEvent: OnEvent;
  /** A line that stays. */
  note(text: string): void;
  /** Shows that no more tenants are started. */
  stopping(): void;
  /** Takes the frame away while somebody is asked something. */
  aside<T>(act: () => Promise<T>): Promise<T>;
  /** Ends it: nothing is painted any more, the terminal is as before. */
  stop(): Promise<void>;
}

export interface ProgressOptions {
  /** Where it goes: stderr. */
  stream: NodeJS.WriteStream;
  env: DisplayEnvironment;
  theme: Theme;
  /** What two equal failures have in common. */
  failureKey: FailureKey;
  /** Leave the last frame standing, because the report goes elsewhere. */
  keep: boolean;
  write(text: string): void;
  /** Ms, monotonic. */
  clock(): number;
}

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
