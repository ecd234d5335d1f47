import { spawn } from 'node:child_process';
import { dirname } from 'node:path';
import { EXIT, MpmError } from '../errors.ts';
import type { DemoTerminal } from '../fleet/verbs/demo.ts';
import type { Display } from './command.ts';

export interface DemoTerminalOptions {
  /** The program that the user started. */
  program: string;
  template: string;
  keep: boolean;
  signal: AbortSignal;
}

/** A stage on this terminal: commands are typed into real processes, and their output is passed on as it is. */
export function openDemoTerminal(
  { program, template, keep, signal }: DemoTerminalOptions,
  { env, out }: Display,
): DemoTerminal {
  const say = (text: string): void => void process.stdout.write(text);
  const environment = cleaned(env);
  let step = 0;
  // Whether what was said last ended with an empty line; commands end without one.
  let spaced = true;
  const apart = (text: string): void => {
    say(`${spaced ? '' : '\n'}${text}\n\n`);
    spaced = true;
  };

  const run = (folder: string, args: string[], capture: boolean): Promise<Played> =>
    new Promise((done, failed) => {
      const child = spawn(process.execPath, [program, ...args], {
        cwd: folder,
        // Temporary files too go where everything is removed at the end.
        env: { ...environment, TMPDIR: dirname(folder) },
        stdio: ['ignore', capture ? 'pipe' : 'inherit', 'inherit'],
      });
      const stop = (): void => void child.kill('SIGTERM');
      signal.addEventListener('abort', stop, { once: true });
      let stdout = '';
      child.stdout?.setEncoding('utf8').on('data', (chunk: string) => (stdout += chunk));
      child.on('error', failed).on('close', (code) => {
        signal.removeEventListener('abort', stop);
        done({ stdout, code: code ?? 1 });
      });
    });

  return {
    template,
    keep,
    signal,
    tell(heading, text) {
      apart(`${out.strong(step === 0 ? heading : `${step}. ${heading}`)}\n${text}`);
      step++;
    },
    show: (text) => apart(text.trimEnd().replace(/^(?=.)/gm, '    ')),
    async type(folder, ...args) {
      signal.throwIfAborted();
      say(`${out.dim('$')} ${out.command(commandLine(args))}\n`);
      spaced = false;
      // `create` prints a path, which the demo needs.
      const { stdout, code } = await run(folder, args, args[0] === 'create');
      say(stdout);
      signal.throwIfAborted();
      if (code !== EXIT.done) say(`${out.dim(`(exit code ${code})`)}\n`);
      // A failed tenant is part of the story; a command that could not do its work is the end of it.
      if (code !== EXIT.done && code !== EXIT.tenantsFailed) throw stopped(args, code);
      return stdout;
    },
  };
}

interface Played {
  stdout: string;
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
