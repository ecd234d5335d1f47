import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { Command } from '@oclif/core';
import { Parser } from '@oclif/core';
import ts from 'typescript';
import { withBareFailed } from '../../src/cli/flags.ts';

const src = join(import.meta.dirname, '../../src');

type Class = Command.Class;

let classes: Promise<Map<string, Class>> | undefined;

/** Every command by its words: `tenant pool fill`. */
export function commands(): Promise<Map<string, Class>> {
  classes ??= (async () => {
    const folder = join(src, 'cli/commands');
    const files = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((file) =>
      file.endsWith('.ts'),
    );
    const all = await Promise.all(
      files.map(async (file): Promise<[string, Class]> => {
        const { default: command } = (await import(pathToFileURL(join(folder, file)).href)) as {
          default: Class;
        };
        return [file.replace(/(?:\/index)?\.ts$/, '').replaceAll('/', ' '), command];
      }),
    );
    return new Map(all);
  })();
  return classes;
}

/** A text of the source in which a command stands, what is put into it replaced by `{}`. */
export interface SourceText {
  place: string;
  text: string;
}

/** Every string and template of the source that holds `mpm-migrate` and a word behind it. */
export function sourceTexts(): SourceText[] {
  const files = readdirSync(src, { recursive: true, encoding: 'utf8' }).filter((file) =>
    file.endsWith('.ts'),
  );
  return files.flatMap((file) => {
    const source = ts.createSourceFile(
      file,
      readFileSync(join(src, file), 'utf8'),
      ts.ScriptTarget.Latest,
      true,
    );
    const found: SourceText[] = [];
    const visit = (node: ts.Node): void => {
      const text = textOf(node);
      if (text !== undefined && /mpm-migrate [a-z]/.test(text) && !inDescription(node)) {
        const { line } = source.getLineAndCharacterOfPosition(node.getStart());
        found.push({ place: `${file}:${line + 1}`, text });
      }
      if (text === undefined) ts.forEachChild(node, visit);
      else if (ts.isTemplateExpression(node))
        node.templateSpans.forEach(({ expression }) => visit(expression));
    };
    visit(source);
    return found;
  });
}

function textOf(node: ts.Node): string | undefined {
  if (ts.isStringLiteralLike(node)) return node.text;
  if (!ts.isTemplateExpression(node)) return undefined;
  return node.head.text + node.templateSpans.map(({ literal }) => `{}${literal.text}`).join('');
}

/** Comments of SQL and names of packages are no remedies. */
function inDescription(node: ts.Node): boolean {
  return ts.isImportDeclaration(node.parent);
}

/** The commands in a text: from `mpm-migrate` to where the words are no command line's any more. */
export async function commandsIn(text: string): Promise<string[][]> {
  const known = await commands();
  return text.split('\n').flatMap((line) =>
    line
      .split(/(?<![\w/"-])mpm-migrate /)
      .slice(1)
      .map((rest) => commandIn(rest, known))
      .filter((words) => words.length > 0),
  );
}

const TOPICS = new Set(['tenant', 'run', 'central', 'plugin', 'pool']);
const WORD = /^(?:'(?:[^'])*'|"(?:[^"\\]|\\.)*"|[^\s'",;:)]|,(?=\S)|:(?=\S))+/;

function commandIn(rest: string, known: ReadonlyMap<string, Class>): string[] {
  const words: string[] = [];
  let left = rest;
  const next = (): string | undefined => WORD.exec(left)?.[0];
  const take = (word: string): void => {
    words.push(word);
    left = left.slice(word.length);
    const space = /^ +/.exec(left)?.[0] ?? '';
    left = space ? left.slice(space.length) : `\0${left}`;
  };
  let id = '';
  const bare = (word: string | undefined): string | undefined => word?.replace(/[.]$/, '');
  for (let word = bare(next()); word && /^[a-z]+$/.test(word); word = bare(next())) {
    const longer = id ? `${id} ${word}` : word;
    if (id && !known.has(longer) && !TOPICS.has(word)) break;
    if (
      id &&
      known.has(id) &&
      !known.has(longer) &&
      ![...known.keys()].some((each) => each.startsWith(`${longer} `))
    )
      break;
    id = longer;
    take(word);
    if (left.startsWith('\0')) break;
  }
  const { flags = {}, args = {} } = known.get(id) ?? {};
  const named = Object.values(args).some(({ required }) => required);
  for (let word = next(); word && !left.startsWith('\0'); word = next()) {
    const flag = /^--([\w-]+)(=)?/.exec(word);
    const before = words.at(-1) ?? '';
    const wants =
      /^--[\w-]+$/.test(before) && flags[before.slice(2)]?.type === 'option' && before !== '--failed';
    const positional =
      /^(?:\{.*|<\w+>[.]?|["'].*|[A-Z][A-Z]+\b.*|\d.*|[a-z]+=[a-z]+|[a-z]+-|[a-z]+(?:_[a-z]+)+)$/.test(word);
    const name = named && words.length === id.split(' ').length && /^[a-z]\w*$/.test(word);
    if (!flag && !wants && !positional && !name) break;
    take(word.replace(/[.]$/, ''));
  }
  return words;
}

/** Parses a command line as oclif would; throws as it does. What stands for something is given a value that fits. */
export async function parseCommand(words: readonly string[]): Promise<void> {
  const known = await commands();
  const id = words
    .map((_, at) => words.slice(0, words.length - at).join(' '))
    .find((each) => known.has(each));
  const command = id === undefined ? undefined : known.get(id);
  if (!command || id === undefined)
    throw new Error(`mpm-migrate ${words.join(' ')}: there is no such command`);
  const takesArgs = Object.keys(command.args ?? {}).length > 0;
  const argv = words.slice(id.split(' ').length).flatMap((word, at, all) => {
    const plain = word.replaceAll(/^(["'])(.*)\1$/g, '$2');
    // A selection that is put in as a whole.
    if (plain === '{}' && !takesArgs && !all[at - 1]?.startsWith('--')) return ['--all'];
    const flag = command.flags?.[all[at - 1]?.replace(/^--/, '') ?? ''];
    const value = (flag?.type === 'option' && flag.options?.[0]) || '42';
    return plain === '--help' ? [] : [plain.replaceAll(/\{\w*\}/g, value)];
  });
  const line = command.flags?.['failed']?.type === 'option' ? withBareFailed(argv) : argv;
  await Parser.parse(line, {
    flags: { ...command.baseFlags, ...command.flags },
    args: command.args,
    strict: command.strict,
  });
}
