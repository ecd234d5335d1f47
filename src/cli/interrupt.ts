import { writeSync } from 'node:fs';
import { EXIT } from '../errors.ts';

/** What a run is told when somebody wants it to end. */
export interface Interrupts {
  /** Aborted by the first signal: start nothing more, finish what is in work. */
  stop: AbortSignal;
  /** Aborted by the second one: cancel the statements that run. */
  cancel: AbortSignal;
  /** Ends the listening. */
  release(): void;
}

const SHOW_CURSOR = '\u001b[?25h';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

export const STOPPING =
  'Stopping: the migrations in work are finished first. Once more (Ctrl-C) cancels them.';
export const CANCELLING = 'Cancelling what is in work. Once more (Ctrl-C) ends the process at once.';
const LEAVING = 'Ended at once: what the servers were doing, they end or roll back. The next run looks.';

/**
 * Turns SIGINT, SIGTERM and SIGHUP into abort signals (fleet 6, 48). The process ends by itself, with 130 as its exit code,
 * once the run has come to its end.
 */
export function listenForInterrupts(say: (line: string) => void): Interrupts {
  const stop = new AbortController();
  const cancel = new AbortController();
  const onSignal = () => {
    if (!stop.signal.aborted) {
      say(STOPPING);
      stop.abort();
    } else if (!cancel.signal.aborted) {
      say(CANCELLING);
      cancel.abort();
    } else {
      // At once: the progress that hides the cursor draws no frame any more.
      writeSync(2, `${process.stderr.isTTY ? SHOW_CURSOR : ''}\n${LEAVING}\n`);
      // Whatever hangs (engine 61): nothing that is thrown would end it.
      // oxlint-disable-next-line unicorn/no-process-exit
      process.exit(EXIT.interrupted);
    }
  };
  for (const signal of SIGNALS) process.on(signal, onSignal);
  return {
    stop: stop.signal,
    cancel: cancel.signal,
    release: () => {
      for (const signal of SIGNALS) process.removeListener(signal, onSignal);
    },
  };
}

/** Runs a piece of work that Ctrl-C ends in order; for commands without a progress of their own. */
export async function interruptible<T>(
  work: (signal: AbortSignal, cancel: AbortSignal) => Promise<T>,
): Promise<T> {
  const interrupts = listenForInterrupts((line) => process.stderr.write(`${line}\n`));
  try {
    return await work(interrupts.stop, interrupts.cancel);
  } finally {
    interrupts.release();
  }
}
