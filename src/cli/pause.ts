import { MpmError } from '../errors.ts';
import type { WaveQuestion } from '../fleet/waves.ts';
import { plural } from '../ui/format.ts';
import { ask } from './confirm.ts';

/**
 * Off a terminal nobody can be asked, and going on without an answer is not what was asked for.
 * @throws MpmError USAGE before anything is touched
 */
export function requireTerminal({ json }: { json: boolean }): void {
  if (process.stdin.isTTY && process.stderr.isTTY && !json) return;
  throw new MpmError('USAGE', '--pause asks on a terminal, and there is none', {
    hint: 'Off a terminal go in two steps: mpm-migrate up --label …, and when that went well mpm-migrate up --all',
  });
}

/** Whether the next wave is to begin: only a yes is one. */
export async function askForWave({ previous, next }: WaveQuestion, signal: AbortSignal): Promise<boolean> {
  const { counts, name } = previous;
  const failed = counts.failed + counts.refused + counts.busy;
  const done = `Wave ${name} is done: ${plural(counts.total, 'tenant')}, ${failed} failed.`;
  const question = `${done}\nGo on with wave ${next.name}, ${plural(next.total, 'tenant')}? [y/N] `;
  return /^y(es)?$/i.test(await ask(question, process.stdin, process.stderr, signal));
}
