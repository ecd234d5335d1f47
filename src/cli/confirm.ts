import { MpmError } from '../errors.ts';
import type { WaveQuestion } from '../fleet/schedule/waves.ts';
import { plural } from '../ui/format.ts';

export interface Confirmation {
  /** What must be typed. */
  name: string;
  /** What is about to happen, as a sentence. */
  what: string;
  /** The value of `--confirm`. */
  given: string | undefined;
  input?: NodeJS.ReadableStream & { isTTY?: boolean };
  output?: NodeJS.WritableStream & { isTTY?: boolean };
  /** No question is asked, as when a document goes to stdout. */
  quiet?: boolean;
}

/**
 * Asks for a name to be typed before something is destroyed. Off a terminal nobody can be asked, and `--confirm`
 * must hold the name.
 * @throws MpmError CONFIRMATION when it is not the name, or there is none
 */
export async function confirmName(options: Confirmation): Promise<void> {
  const { name, what, given, input = process.stdin, output = process.stderr } = options;
  if (given !== undefined) return check(given, name, '--confirm');
  if (!input.isTTY || !output.isTTY || options.quiet) {
    throw new MpmError('CONFIRMATION', `${what} This needs a confirmation`, {
      subject: name,
      hint: `Off a terminal, add: --confirm ${/^[\w.-]+$/.test(name) ? name : `'${name.replaceAll("'", String.raw`'\''`)}'`}`,
    });
  }
  return check(await ask(`${what}\nType ${name} to go on: `, input, output), name, 'What was typed');
}

function check(typed: string, name: string, source: string): void {
  if (typed === name) return;
  throw new MpmError('CONFIRMATION', `${source} is "${typed}", not "${name}": nothing was done`, {
    hint: `Type the name exactly as it is: ${name}`,
  });
}

/** The answer to a question; empty when there is none, as after Ctrl-C or Ctrl-D. */
export async function ask(
  question: string,
  input: NodeJS.ReadableStream,
  output: NodeJS.WritableStream,
  stop?: AbortSignal,
): Promise<string> {
  const { createInterface } = await import('node:readline/promises');
  const terminal = createInterface({ input, output });
  const closed = new AbortController();
  // Ctrl-C and Ctrl-D at the question mean no.
  terminal.once('close', () => closed.abort());
  const signal = stop ? AbortSignal.any([closed.signal, stop]) : closed.signal;
  try {
    return (await terminal.question(question, { signal })).trim();
  } catch {
    return '';
  } finally {
    terminal.close();
  }
}

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
