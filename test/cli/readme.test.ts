import { spawn } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { describe, expect, test } from 'vitest';
import { EXIT_MEANING } from '../../src/errors.ts';
import { startServer } from '../helpers/server.ts';

const ROOT = join(import.meta.dirname, '../..');

interface Typed {
  command: string;
  /** What the document says that it prints. */
  output: string;
}

/** The commands of all ```console blocks, in order, each with the output shown below it. */
function typedIn(markdown: string): Typed[] {
  const blocks = [...markdown.matchAll(/^```console\n(.*?)^```$/gms)].map((match) => match[1] ?? '');
  const typed: Typed[] = [];
  for (const line of blocks.flatMap((block) => block.split('\n').slice(0, -1))) {
    const last = typed.at(-1);
    if (line.startsWith('$ ')) typed.push({ command: line.slice(2), output: '' });
    else if (last && /^>( |$)/.test(line) && last.output === '') last.command += `\n${line.slice(2)}`;
    else if (last) last.output += `${line}\n`;
  }
  return typed;
}

/** Types everything into one shell, as a reader would; returns what each command printed, progress left out. */
async function play(commands: readonly string[], folder: string, centralUrl: string): Promise<string[]> {
  const bin = join(folder, 'bin');
  const project = join(folder, 'project');
  await Promise.all([mkdir(bin), mkdir(project)]);
  const launcher = `#!/bin/sh\nexec "${process.execPath}" "${join(ROOT, 'bin/run.js')}" "$@"\n`;
  await writeFile(join(bin, 'mpm-migrate'), launcher, { mode: 0o755 });
  const errors = (at: number): string => join(folder, `stderr.${at}`);
  const script = commands
    .map((command, at) => `printf '\\036\\n'\n{ ${command}\n} 2> "${errors(at)}"\n`)
    .join('');
  const shell = spawn('/bin/bash', ['-c', script], {
    cwd: project,
    env: { PATH: `${bin}:${process.env['PATH'] ?? ''}`, HOME: folder, MPM_CENTRAL_URL: centralUrl },
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const printed = (await text(shell.stdout)).split('\u001E\n').slice(1);
  return Promise.all(
    printed.map(async (stdout, at) =>
      // Off a terminal progress is lines on stderr; an error that ends a command is there as well, alone.
      (stdout || (await readFile(errors(at), 'utf8'))).replaceAll(`${project}/`, ''),
    ),
  );
}

/** What differs from one run to the next made the same. */
function normalised(output: string): string {
  return output
    .replace(/\b\d{14}(?=_)/g, 'VERSION')
    .replace(/\b\d{4}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?Z?/g, 'DATE')
    .replace(/\b\d+(?:\.\d+)?\s?(?:ms|s|min)\b/g, 'TIME')
    .replace(/\b127\.0\.0\.1:\d+/g, 'SERVER')
    .replace(/[ \t]+/g, ' ')
    .replace(/ $/gm, '')
    .trim();
}

/** True when equal; a line that is only `…` stands for any lines. */
function matches(shown: string, printed: string): boolean {
  const all = normalised(printed);
  const [first = '', ...others] = normalised(shown).split(/^ ?…\n?/m);
  const last = others.pop();
  if (last === undefined) return all === first;
  if (!all.startsWith(first) || !all.endsWith(last)) return false;
  let at = first.length;
  for (const part of others) {
    const found = all.indexOf(part, at);
    if (found === -1) return false;
    at = found + part.length;
  }
  return at <= all.length - last.length;
}

const pages = (await readdir(join(ROOT, 'docs'))).filter((file) => file.endsWith('.md'));
const documents = ['README.md', ...pages.map((file) => `docs/${file}`)];

describe('what the documents show is what happens', () => {
  for (const document of documents) {
    test(`the console blocks of ${document}`, { timeout: 120_000 }, async () => {
      const typed = typedIn(await readFile(join(ROOT, document), 'utf8'));
      if (typed.length === 0) return;
      await using server = await startServer();
      const folder = await mkdtemp(join(tmpdir(), 'mpm-readme-'));
      try {
        const url = Object.assign(new URL(server.url), { pathname: '/micro_power_manager' }).href;
        const printed = await play(
          typed.map(({ command }) => command),
          folder,
          url,
        );
        const happened = typed.map(({ command, output }, at) => {
          const actual = printed[at] ?? '(nothing: the shell ended)';
          return `$ ${command}\n${normalised(matches(output, actual) ? output : actual)}`;
        });
        const shown = typed.map(({ command, output }) => `$ ${command}\n${normalised(output)}`);
        expect(happened.join('\n')).toBe(shown.join('\n'));
        expect(printed).toHaveLength(typed.length);
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    });
  }
});

test('the README lists every exit code with its meaning', async () => {
  const readme = await readFile(join(ROOT, 'README.md'), 'utf8');
  const rows = [...readme.matchAll(/^\| (\d+) +\| (.*?) +\|$/gm)].map(([, code, meaning]) => [
    code,
    meaning?.replaceAll('`', ''),
  ]);
  expect(rows).toEqual(Object.entries(EXIT_MEANING));
});
