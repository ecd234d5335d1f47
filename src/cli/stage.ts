import { spawn } from 'node:child_process';
import { MpmError } from '../errors.ts';
import type { Stage } from '../fleet/verbs/demo.ts';
import type { Display } from './command.ts';

/** At once, for each is a process. */
const HANDS = 4;

export interface StageOptions {
  /** The program that the user started. */
  program: string;
  template: string;
  keep: boolean;
  signal: AbortSignal;
}

/** A stage on this terminal: commands are typed into real processes, and their output is passed on as it is. */
export function openStage({ program, template, keep, signal }: StageOptions, { env, out }: Display): Stage {
  const say = (text: string): void => void process.stdout.write(text);
  const environment = cleaned(env);
  let step = 0;

  const run = (folder: string, args: string[], capture: 'none' | 'stdout' | 'both'): Promise<Played> => {
    signal.throwIfAborted();
    const [first, second] = [
      capture === 'none' ? 'inherit' : 'pipe',
      capture === 'both' ? 'pipe' : 'inherit',
    ] as const;
    return new Promise((done, failed) => {
      const child = spawn(process.execPath, [program, ...args], {
        cwd: folder,
        env: environment,
        stdio: ['ignore', first, second],
      });
      const stop = (): void => void child.kill('SIGTERM');
      signal.addEventListener('abort', stop, { once: true });
      const played = { stdout: '', all: '', code: 0 };
      child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
        played.stdout += chunk;
        played.all += chunk;
      });
      child.stderr?.setEncoding('utf8').on('data', (chunk: string) => (played.all += chunk));
      child.on('error', failed).on('close', (code) => {
        signal.removeEventListener('abort', stop);
        done({ ...played, code: code ?? 1 });
      });
    });
  };
  const prompt = (args: string[]): string => `${out.dim('$')} ${out.command(commandLine(args))}\n`;
  const ended = (code: number): string => (code === 0 ? '\n' : `${out.dim(`(exit code ${code})`)}\n\n`);

  return {
    template,
    keep,
    signal,
    tell(heading, text) {
      say(`${step === 0 ? '' : `${out.strong(`${step}. `)}`}${out.strong(heading)}\n${text}\n\n`);
      step++;
    },
    show: (text) => say(`${text.trimEnd().replace(/^(?=.)/gm, '    ')}\n\n`),
    async type(folder, ...args) {
      say(prompt(args));
      // `create` prints a path, which the demo needs.
      const capture = args[0] === 'create' ? 'stdout' : 'none';
      const { stdout, code } = await run(folder, args, capture);
      say(stdout + ended(code));
      signal.throwIfAborted();
      // A failed tenant is part of the story; a command that could not do its work is the end of it.
      if (code !== 0 && code !== 3) throw stopped(args, code);
      return stdout;
    },
    async typeAll(folder, lines) {
      const running: Promise<Played>[] = [];
      for (const [at, args] of lines.entries()) {
        const before = running[at - HANDS];
        running.push(Promise.resolve(before).then(() => run(folder, args, 'both')));
      }
      for (const each of running) each.catch(() => undefined);
      for (const [at, args] of lines.entries()) {
        const { all, code } = await running[at]!;
        signal.throwIfAborted();
        say(prompt(args) + all + (code === 0 ? '' : ended(code)));
        if (code !== 0) throw stopped(args, code);
      }
      say('\n');
    },
  };
}

interface Played {
  stdout: string;
  all: string;
  code: number;
}

/** Nothing of the user's own fleet or server: the demo has both itself. */
function cleaned(env: Readonly<Record<string, string | undefined>>): Record<string, string | undefined> {
  const foreign = /^(?:MPM_|PG|GITHUB_|CI$)/;
  return Object.fromEntries(Object.entries(env).filter(([name]) => !foreign.test(name)));
}

function commandLine(args: readonly string[]): string {
  return ['mpm-migrate', ...args.map((arg) => (/^[\w.,:=/@%+-]+$/.test(arg) ? arg : `"${arg}"`))].join(' ');
}

function stopped(args: readonly string[], code: number): MpmError {
  return new MpmError('DEMO_FAILED', `The demo stopped: "${commandLine(args)}" ended with ${code}.`, {
    hint: 'What it printed is above. Everything was removed.',
  });
}
