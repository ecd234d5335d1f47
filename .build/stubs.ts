import type { Plugin } from 'rolldown';

/** Modules that the bundle does without: what imports them never reaches the code that needs them. */
const STUBS: Record<string, string> = {
  // umzug's own command line, loaded with umzug
  '@rushstack/ts-command-line':
    'export class CommandLineAction {} export class CommandLineParser {} export default {};',
  // pg's optional native binding, and its socket for Cloudflare Workers
  'pg-native': 'export default undefined;',
  'pg-cloudflare': 'export default {};',
  // oclif: its Node version check, plug-in patterns, `.oclifrc` search, ts-node, WSL, and the search for
  // commands that the manifest makes needless
  semver: 'export const satisfies = () => true;',
  minimatch: 'export const minimatch = () => false;',
  lilconfig: 'export const lilconfig = () => ({ search: async () => null });',
  tinyglobby: 'export const glob = async () => [];',
  typescript: 'export default undefined;',
  'wsl-utils': 'export const isWsl = false;',
  // what wrap-ansi's ansi-styles computes colours with, which nobody asks for
  'color-convert': 'export default {};',
  // oclif's templates in help texts: `<%= config.bin %>` and the like need no compiler
  ejs: `const render = (text, context) => text.replaceAll(/<%[=-]\\s*([\\w.]+)\\s*%>/g,
    (_, path) => path.split('.').reduce((value, key) => value?.[key], context) ?? '');
    export default { render };`,
};

/** Of oclif alone: its own spinner, and what DEBUG=oclif prints. */
const OCLIF_STUBS: Record<string, string> = {
  'ansi-escapes': 'export default {};',
  'cli-spinners': 'export default { dots: {}, dots2: {} };',
  debug: 'export default () => () => {};',
};

/** Slow spots in libraries, by the end of the file's name: what stands there, and what takes its place. */
const PATCHES: Record<string, [string, string]> = {
  // The first localeCompare of a process loads ICU's collation: 10 ms.
  '@oclif/core/lib/config/plugin.js': [
    'a.id.localeCompare(b.id)',
    '(a.id < b.id ? -1 : a.id > b.id ? 1 : 0)',
  ],
  // Parts of Node that are hardly ever asked for: 1 to 4 ms each.
  '@oclif/core/lib/parser/parse.js': lazily('node:readline', 'createInterface'),
  '@oclif/core/lib/performance.js': lazily('node:perf_hooks', 'performance', 'PerformanceObserver'),
  '@oclif/core/lib/util/os.js': lazily('node:child_process', 'execSync'),
  // `new Response` asks Node 20 whether it is a Cloudflare Worker, and loads its whole HTTP client for that: 15 ms.
  'pg/lib/stream.js': ["typeof Response === 'function'", 'false'],
};

/** A `require` that is done when one of these is first used. */
function lazily(module: string, ...names: string[]): [string, string] {
  const getters = names.map((name) => `get ${name}() { return require("${module}").${name}; }`);
  return [`require("${module}")`, `{ ${getters.join(', ')} }`];
}

const PREFIX = '\0stub:';

/** Puts stubs and {@link PATCHES} in their places. */
export const stubs: Plugin = {
  name: 'stubs',
  resolveId(id, importer) {
    const stub = STUBS[id] ?? (importer?.includes('/@oclif/core/') ? OCLIF_STUBS[id] : undefined);
    return stub === undefined ? null : PREFIX + id;
  },
  load(id) {
    if (!id.startsWith(PREFIX)) return null;
    const name = id.slice(PREFIX.length);
    return STUBS[name] ?? OCLIF_STUBS[name] ?? null;
  },
  transform(code, id) {
    const patch = Object.entries(PATCHES).find(([file]) => id.endsWith(file))?.[1];
    if (!patch) return null;
    if (!code.includes(patch[0])) throw new Error(`${id} no longer contains: ${patch[0]}`);
    return { code: code.replace(...patch), map: null };
  },
};
