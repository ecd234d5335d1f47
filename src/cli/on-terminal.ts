import { failureKey } from '../fleet/report/collect.ts';
import type { OnEvent } from '../fleet/events.ts';
import { noProgress, startProgress } from '../ui/progress/progress.ts';
import type { Display, FleetRun } from './command.ts';
import { listenForInterrupts } from './interrupt.ts';
import type { Outputs } from './outputs.ts';
import { setStdoutAside } from './streams.ts';

export interface TerminalOptions {
  quiet: boolean;
  json: boolean;
  /** `--events` and `--report`. */
  outputs?: Omit<Outputs, 'finish'> | undefined;
}

/** Runs a verb between the start and the end of its progress, with Ctrl-C as an abort signal. */
export async function runOnTerminal<R>(
  { err, env }: Display,
  { quiet, json, outputs }: TerminalOptions,
  work: (run: Omit<FleetRun, 'config'>) => Promise<R>,
): Promise<R> {
  // A frame that is repainted would be torn by lines on the same terminal.
  const progress =
    quiet || (outputs?.takesStdout && process.stdout.isTTY)
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
  const onEvent: OnEvent = (event) => {
    progress.onEvent(event);
    return outputs?.onEvent(event);
  };
  try {
    const ask: FleetRun['ask'] = async (question) => {
      const { askForWave } = await import('./confirm.ts');
      return progress.aside(() => askForWave(question, interrupts.stop));
    };
    return await work({ onEvent, signal: interrupts.stop, cancel: interrupts.cancel, ask });
  } catch (error) {
    outputs?.abandon();
    throw error;
  } finally {
    giveStdoutBack();
    interrupts.release();
    await progress.stop();
  }
}
