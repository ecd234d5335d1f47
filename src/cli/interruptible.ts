import { listenForInterrupts } from './interrupt.ts';

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
