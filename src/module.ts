import { existsSync, readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { Jiti } from 'jiti';
import { type ErrorCode, MpmError, type SourceExcerpt } from './errors.ts';

export interface ImportOptions {
  /** What an import of these names gets: the objects of our own process, wherever the file lies. */
  provide?: Record<string, unknown>;
  /** The code of the error when the module cannot be loaded. */
  code: ErrorCode;
  /** Keep the translated text beside the project's packages, for the next process. Not for what may hold a password. */
  keep?: boolean;
}

type Exports = Record<string, unknown>;

/**
 * Imports a TypeScript, ES or CommonJS module as it is now on disk, without a build step.
 * @throws MpmError with file, line and column when it does not parse, or fails while it is evaluated
 */
export async function importModule(
  path: string,
  { provide, code, keep = false }: ImportOptions,
): Promise<Exports> {
  const jiti = await loaderFor(dirname(path), { ...(provide && { provide }), keep, code });
  // It may have been edited since this process imported it.
  delete jiti.cache[path];
  try {
    return await jiti.import<Exports>(path);
  } catch (error) {
    throw explain(path, code, error);
  }
}

export type Loader = Pick<Jiti, 'import' | 'cache' | 'transform' | 'esmResolve'>;

/** Most modules come from the folder of the one before: its tsconfig.json is read once. */
const last = new Map<boolean, { folder: string; provide: unknown; loader: Loader }>();

/** What modules of that folder are loaded with. */
export async function loaderFor(
  folder: string,
  { provide, code, keep = false }: ImportOptions,
): Promise<Loader> {
  const known = last.get(keep);
  if (known?.folder === folder && known.provide === provide) return known.loader;
  const { createJiti } = await import('jiti');
  try {
    const loader = createJiti(import.meta.url, {
      virtualModules: provide ?? {},
      interopDefault: false,
      // Never jiti's own default, a folder that all users of the machine share: they could read it, and write to it.
      fsCache: keep && cacheFolder(folder),
      // Where the search for the nearest tsconfig.json begins.
      tsconfigPaths: folder,
    });
    last.set(keep, { folder, provide, loader });
    return loader;
  } catch (error) {
    throw new MpmError(code, `the tsconfig.json of ${folder} cannot be read: ${textOf(error)}`, {
      subject: folder,
      cause: error,
      hint: 'Mend it, or what it extends: its paths hold in what is imported from there.',
    });
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** In the nearest node_modules from that folder upwards; none where there is none. */
function cacheFolder(folder: string): string | false {
  const packages = join(folder, 'node_modules');
  if (existsSync(packages)) return join(packages, '.cache', 'mpm-migrate');
  const parent = dirname(folder);
  return parent !== folder && cacheFolder(parent);
}

/** Why a module cannot be loaded, with the place in it where that is known. */
export function explain(path: string, code: ErrorCode, error: unknown): MpmError {
  const place = placeOf(path, error);
  const found = place && excerptOf(path, place);
  const where = found ? `${basename(path)}:${found.line}:${found.column}` : basename(path);
  // The lines of a configuration may hold a password, which a syntax error keeps from being known as one.
  const excerpt = code === 'CONFIG_UNREADABLE' ? undefined : found;
  const isSyntax = error instanceof Error && error.message.startsWith('ParseError: ');
  const raw = textOf(error);
  const message = raw.replace(/^ParseError: /, '').split(/\s*\n/, 1)[0];
  const missing = /Cannot find (?:module|package) '([^']+)'/.exec(raw)?.[1];
  return new MpmError(code, `${where}: ${message}`, {
    ...(code === 'CONFIG_UNREADABLE' && isSyntax ? {} : { cause: error }),
    subject: path,
    ...(excerpt && { excerpt }),
    hint: isSyntax
      ? 'Mend the syntax error; no database was touched.'
      : missing
        ? remedyOfMissing(missing)
        : 'The file failed while it was imported: outside its functions it should only import and declare.',
  });
}

function remedyOfMissing(module: string): string {
  if (/^[./]/.test(module))
    return `There is no ${module}, seen from the file that imports it: correct the import.`;
  return `Install ${module} where the file is, or correct the import. If it is an alias: "paths" hold when they are in the nearest tsconfig.json above the file, or in what that one extends.`;
}

interface SourcePosition {
  line: number;
  /** In UTF-16 units from 0; undefined: the first character of the line that is no space. */
  column?: number;
}

/** From jiti's own words for what does not parse, else from the first line of the stack that is in the file. */
function placeOf(path: string, error: unknown): SourcePosition | undefined {
  if (!(error instanceof Error)) return undefined;
  const parse = /:(\d+):(\d+)\s*$/.exec(error.message);
  if (parse && error.message.includes(`${path}:`))
    return { line: Number(parse[1]), column: Number(parse[2]) };
  const frame = error.stack?.split('\n').find((line) => line.includes(`${path}:`));
  const line = frame && /:(\d+)(?::\d+)?\)?$/.exec(frame)?.[1];
  return line ? { line: Number(line) } : undefined;
}

function excerptOf(path: string, { line, column }: SourcePosition): SourceExcerpt | undefined {
  let all: string[];
  try {
    all = readFileSync(path, 'utf8').split(/\r\n|\r|\n/);
  } catch {
    return undefined;
  }
  const failing = all[line - 1];
  if (failing === undefined) return undefined;
  const before = failing.slice(0, column ?? failing.search(/\S|$/));
  const first = Math.max(1, line - 1);
  const lines = all.slice(first - 1, line + 1).map((text, index) => {
    const number = first + index;
    return { number, text: text.length > 400 ? `${text.slice(0, 400)}…` : text, failing: number === line };
  });
  return { file: path, line, column: [...before].length + 1, lines };
}
