import { failureKey } from '../fleet/collect.ts';
import { noProgress, startProgress } from '../ui/progress.ts';
import type { Display, FleetRun } from './command.ts';
import { listenForInterrupts } from './interrupt.ts';
import { setStdoutAside } from './stdout.ts';

export interface ConductOptions {
  quiet: boolean;
  json: boolean;
}

/** Runs a verb between the start and the end of its progress, with Ctrl-C as an abort signal. */
export async function conductOnTerminal<R>(
  { err, env }: Display,
  { quiet, json }: ConductOptions,
  work: (run: Omit<FleetRun, 'config'>) => Promise<R>,
): Promise<R> {
  const progress = quiet
    ? noProgress()
    : startProgress({
        stream: process.stderr,
        env,
        theme: err,
        failureKey,
        // With the report in a file or a pipe, the last frame is all that the terminal shows of the end.
        keep: !process.stdout.isTTY && !json,
      });
  const interrupts = listenForInterrupts((line) => {
    progress.stopping();
    if (quiet) process.stderr.write(`${line}\n`);
    else progress.note(line);
  });
  const giveStdoutBack = setStdoutAside();
  try {
    return await work({ onEvent: progress.onEvent, signal: interrupts.stop, cancel: interrupts.cancel });
  } finally {
    giveStdoutBack();
    interrupts.release();
    await progress.stop();
  }
}
