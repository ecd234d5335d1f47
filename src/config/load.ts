import { existsSync } from 'node:fs';
import { basename, dirname, resolve } from 'node:path';
import { MpmError } from '../errors.ts';
import { rememberSecret } from '../secrets.ts';
import { shellWord } from '../shell-word.ts';
import { complete } from './complete.ts';
import { type Config, type ConfigInput, defineConfig } from './define.ts';
import { actorOf, readEnvironment, historyPairProblem } from './environment.ts';
import { findConfig, PLACES } from './find.ts';
import { isObject } from './connection-function.ts';
import type { CheckedConfig } from './parse.ts';
import type { Environment } from './url.ts';

/** What the caller says, before anything else counts. */
export interface ConfigOverrides {
  /** The configuration file; otherwise it is searched for. */
  file?: string;
  centralUrl?: string;
  actor?: string;
  pace?: NonNullable<ConfigInput['pace']>;
}

/** The process's environment, for those who may not read it themselves. */
export function environment(): Environment {
  return process.env;
}

export interface LoadOptions {
  cwd?: string;
  env?: Environment;
  /** For a program that opens the library: it reads no environment, and remedies name none. */
  library?: boolean;
  /** It is enough to know where the files are: nothing need say where the central database is. */
  withoutCentral?: boolean;
}

/**
 * Loads the configuration: flag > environment > file > default.
 * @throws MpmError CONFIG_MISSING; CONFIG_UNREADABLE; CONFIG_INVALID with every problem at once
 */
export async function loadConfig(
  overrides: ConfigOverrides = {},
  { cwd = process.cwd(), env = environment(), library = false, withoutCentral = false }: LoadOptions = {},
): Promise<Config> {
  rememberSecret(env['PGPASSWORD'], [env['PGUSER'], env['PGHOST'], env['PGDATABASE']]);
  const remedy = centralRemedy(env, library);
  const { overlay, problems } = readEnvironment(env);
  const named = overrides.file ?? (env['MPM_CONFIG'] || undefined);
  const searched = named === undefined ? findConfig(cwd) : { file: resolve(cwd, named) };
  const found = searched.file === undefined ? undefined : await readFile(searched.file);
  const centralUrl = overrides.centralUrl ?? overlay.centralUrl;
  if (!found && centralUrl === undefined && !problems.length && !withoutCentral)
    throw missing(cwd, remedy, library, searched.leftOut);

  let checked: CheckedConfig | undefined;
  let absent = false;
  if (found) {
    const { parseConfig } = await import('./parse.ts');
    const { content: raw } = found;
    // The file may leave the URL to the environment.
    const central =
      isObject(raw) && (raw['central'] === undefined || isObject(raw['central']))
        ? raw['central']
        : undefined;
    absent = withoutCentral && centralUrl === undefined && !saysCentral(raw);
    const url = absent ? NOWHERE : centralUrl;
    const merged =
      isObject(raw) && url !== undefined && (central !== undefined || raw['central'] === undefined)
        ? { ...raw, central: { ...central, connection: undefined, url } }
        : raw;
    const parsed = parseConfig(merged);
    if ('config' in parsed) checked = parsed.config;
    else problems.push(...parsed.problems);
  } else if (centralUrl !== undefined || withoutCentral) {
    absent = centralUrl === undefined;
    checked = { central: { url: centralUrl ?? NOWHERE } };
  }
  if (problems.length || !checked) throw invalid(found?.file, problems, remedy);

  const actor = overrides.actor ?? actorOf(env);
  const config = complete(
    {
      ...checked,
      // Switched on, it keeps what the file says of it.
      ...(overlay.templates !== undefined && { templates: overlay.templates && (checked.templates || true) }),
      ...(overlay.outOfOrder !== undefined && { outOfOrder: overlay.outOfOrder }),
      ...(overlay.folders !== undefined && { folders: overlay.folders }),
      migrations: { ...checked.migrations, ...overlay.migrations },
      history: { ...checked.history, ...overlay.history },
      pace: { ...checked.pace, ...overlay.pace, ...overrides.pace },
    },
    {
      root: found ? dirname(found.file) : cwd,
      env,
      ...(found && { file: found.file }),
      ...(searched.leftOut !== undefined && { leftOut: searched.leftOut }),
      ...(actor && { actor }),
      ...(absent && { absent }),
    },
  );
  const clash = historyPairProblem(config.history);
  if (clash) throw invalid(found?.file, [clash]);
  return config;
}

/** Nobody connects to it. */
const NOWHERE = 'postgres://localhost/';

function saysCentral(raw: unknown): boolean {
  const { central } = isObject(raw) ? raw : {};
  return isObject(central)
    ? central['url'] !== undefined || central['connection'] !== undefined
    : central !== undefined;
}

/**
 * A configuration that is given as such, as the library takes it.
 * @throws MpmError CONFIG_INVALID with every problem at once
 */
export async function configFrom(
  content: ConfigInput,
  { actor }: Pick<ConfigOverrides, 'actor'>,
  { cwd = process.cwd(), env = {} }: { cwd?: string; env?: Environment } = {},
): Promise<Config> {
  const { parseConfig } = await import('./parse.ts');
  const parsed = parseConfig(content);
  if ('problems' in parsed) throw invalid('configuration', parsed.problems, centralRemedy({}, true));
  const config = complete(parsed.config, { root: cwd, env, ...(actor && { actor }) });
  const clash = historyPairProblem(config.history);
  if (clash) throw invalid('configuration', [clash]);
  return config;
}

interface LoadedFile {
  file: string;
  content: unknown;
}

async function readFile(path: string): Promise<LoadedFile | undefined> {
  if (!existsSync(path)) {
    throw new MpmError('CONFIG_UNREADABLE', `Configuration file ${path} doesn't exist`, {
      subject: path,
      hint: 'Correct --config or MPM_CONFIG, or omit it to search for the file.',
    });
  }
  const { cosmiconfig } = await import('cosmiconfig');
  const modules = ['.ts', '.mts', '.js', '.mjs', '.cjs'].map((extension) => [extension, loadModule]);
  const loaders = { ...Object.fromEntries(modules), '.json': loadJson };
  const explorer = cosmiconfig('mpm-migrate', {
    searchPlaces: PLACES,
    loaders,
    cache: false,
  });
  try {
    const result = await explorer.load(path);
    if (!result) return undefined;
    return { file: result.filepath, content: result.isEmpty ? {} : result.config };
  } catch (error) {
    throw error instanceof MpmError ? error : unreadable(path, error);
  }
}

async function loadModule(file: string): Promise<unknown> {
  const { importModule } = await import('../module.ts');
  // The package's own name need not be found from there: a configuration needs one function of it.
  const provide = { 'mpm-migrate': { defineConfig } };
  const exports = await importModule(file, { provide, code: 'CONFIG_UNREADABLE' });
  if (exports['default'] !== undefined) return exports['default'];
  if (/\.c?js$/.test(file) && Object.keys(exports).length) return exports;
  throw new MpmError('CONFIG_UNREADABLE', `${basename(file)} has no default export`, {
    subject: file,
    hint: `export default defineConfig({ central: { url: … } });`,
  });
}

function loadJson(file: string, content: string): unknown {
  try {
    return JSON.parse(content);
  } catch (error) {
    throw new Error(`${basename(file)}: ${(error as Error).message}`, { cause: error });
  }
}

function unreadable(path: string, error: unknown): MpmError {
  // Without the pieces of the file that parsers quote, and without the error itself: they may hold a password.
  const said = (error instanceof Error ? error.message : String(error))
    .split('\n')
    .slice(0, 2)
    .join(' ')
    .replaceAll(/(["'`])(?:(?!\1).){2,}\1|!<[^>]*>/g, '…')
    .replace(/,? *\.{0,3}["`][^]*$/, '');
  return new MpmError('CONFIG_UNREADABLE', `Can't read the configuration: ${said}`, {
    subject: path,
    hint: 'Fix the file.',
  });
}

const EXAMPLE = 'postgres://user@host:5432/micro_power_manager';

/** How to say which the central database is. */
function centralRemedy(env: Environment, library: boolean): string {
  if (library) {
    return `Set central.url in the configuration, or pass it in: openFleet({ central: { url: '${EXAMPLE}' } })`;
  }
  const other = env['DATABASE_URL']
    ? '\nDATABASE_URL is set, but isn\'t read. If it is the central database: MPM_CENTRAL_URL="$DATABASE_URL"'
    : '';
  return `Set central.url in mpm-migrate.config.ts (mpm-migrate init creates it), or set MPM_CENTRAL_URL, which is enough to start: MPM_CENTRAL_URL=${EXAMPLE}${other}`;
}

function missing(cwd: string, remedy: string, library: boolean, leftOut: string | undefined): MpmError {
  const unset = library ? '' : ', and MPM_CENTRAL_URL is not set';
  const where =
    leftOut === undefined
      ? `in ${cwd} or above`
      : `in ${cwd} or above it in its repository; ${leftOut} is outside of it`;
  return new MpmError('CONFIG_MISSING', `No configuration found ${where}${unset}`, {
    hint: leftOut === undefined || library ? remedy : `To use it: --config ${shellWord(leftOut)}\n${remedy}`,
  });
}

/** @param remedy where the central database is not named */
function invalid(file: string | undefined, problems: string[], remedy?: string): MpmError {
  const where = file ? basename(file) : 'The environment';
  const [only] = problems;
  const message =
    problems.length === 1
      ? `${where}: ${only}`
      : `${where} has ${problems.length} problems\n${problems.map((each) => `  ${each}`).join('\n')}`;
  const unnamed = problems.some((each) => each.startsWith('central.url: is missing'));
  return new MpmError('CONFIG_INVALID', message, {
    ...(file && { subject: file }),
    hint: unnamed && remedy ? remedy : 'Fix them all, and then run the command again.',
  });
}
