import type { ConfigInput } from './define.ts';
import { DURATION_FORM, parseDuration } from '../pace.ts';
import { type Environment, urlProblem } from './url.ts';

/** What the environment and the flags say, in the words of the configuration file. */
export interface Overlay {
  centralUrl?: string;
  templates?: boolean;
  outOfOrder?: NonNullable<ConfigInput['outOfOrder']>;
  folders?: NonNullable<ConfigInput['folders']>;
  migrations?: NonNullable<ConfigInput['migrations']>;
  history?: NonNullable<ConfigInput['history']>;
  pace?: NonNullable<ConfigInput['pace']>;
}

type Read = (overlay: Overlay, value: string) => string | undefined;

const folder =
  (key: 'core' | 'central' | 'tenants' | 'plugins' | 'seeds' | 'templates'): Read =>
  (overlay, value) => {
    (overlay.migrations ??= {})[key] = value;
    return undefined;
  };

const time =
  (
    key: 'lockTimeout' | 'statementTimeout' | 'idleInTransactionTimeout' | 'lockWait' | 'connectTimeout',
  ): Read =>
  (overlay, value) => {
    const ms = parseDuration(value);
    if (ms === undefined) return `must be ${DURATION_FORM}`;
    (overlay.pace ??= {})[key] = ms;
    return undefined;
  };

const count =
  (key: 'concurrency' | 'retries', least: number): Read =>
  (overlay, value) => {
    if (!/^\d{1,6}$/.test(value) || Number(value) < least) return `must be a whole number, ${least} or more`;
    (overlay.pace ??= {})[key] = Number(value);
    return undefined;
  };

const historyName =
  (part: 'schema' | 'table'): Read =>
  (overlay, value) => {
    (overlay.history ??= {})[part] = value;
    return historyNameProblem(value, part);
  };

/** Every variable of ours and what it sets. */
const VARIABLES: Record<string, Read> = {
  MPM_CENTRAL_URL: (overlay, value) => {
    overlay.centralUrl = value;
    return urlProblem(value);
  },
  MPM_CORE_FOLDER: folder('core'),
  MPM_CENTRAL_FOLDER: folder('central'),
  MPM_TENANTS_FOLDER: folder('tenants'),
  MPM_PLUGINS_FOLDER: folder('plugins'),
  MPM_SEEDS_FOLDER: folder('seeds'),
  MPM_TEMPLATES_FOLDER: folder('templates'),
  MPM_HISTORY_SCHEMA: historyName('schema'),
  MPM_HISTORY_TABLE: historyName('table'),
  MPM_CONCURRENCY: count('concurrency', 1),
  MPM_RETRIES: count('retries', 0),
  MPM_LOCK_TIMEOUT: time('lockTimeout'),
  MPM_STATEMENT_TIMEOUT: time('statementTimeout'),
  MPM_IDLE_IN_TRANSACTION_TIMEOUT: time('idleInTransactionTimeout'),
  MPM_LOCK_WAIT: time('lockWait'),
  MPM_CONNECT_TIMEOUT: time('connectTimeout'),
  MPM_TEMPLATES: (overlay, value) => {
    overlay.templates = value !== 'false';
    return value === 'true' || value === 'false' ? undefined : 'must be true or false';
  },
  MPM_OUT_OF_ORDER: (overlay, value) => {
    overlay.outOfOrder = value as 'refuse' | 'apply';
    return value === 'refuse' || value === 'apply' ? undefined : 'must be refuse or apply';
  },
  MPM_FOLDERS: (overlay, value) => {
    overlay.folders = value as 'synced' | 'pinned';
    return value === 'synced' || value === 'pinned' ? undefined : 'must be synced or pinned';
  },
  // Read where they are needed.
  MPM_CONFIG: () => undefined,
  MPM_ACTOR: () => undefined,
  MPM_SHARD: () => undefined,
  MPM_SHARD_INDEX: () => undefined,
  MPM_SHARD_TOTAL: () => undefined,
};

/** Who runs this, by what CI systems say; in this order. */
const ACTORS = [
  'MPM_ACTOR',
  'GITHUB_ACTOR',
  'GITLAB_USER_LOGIN',
  'BUILDKITE_BUILD_CREATOR',
  'CIRCLE_USERNAME',
];

export function actorOf(env: Environment): string | undefined {
  return ACTORS.map((name) => env[name]).find(Boolean);
}

/**
 * Reads our variables; an empty one counts as not set, as CI systems leave them. A name that is nearly one of
 * ours is a problem; others that begin with MPM_ belong to the product around us (MPM_ENV, MPM_BACKEND_URL).
 */
export function readEnvironment(env: Environment): { overlay: Overlay; problems: string[] } {
  const overlay: Overlay = {};
  const problems: string[] = [];
  for (const name of Object.keys(env)) {
    if (!name.startsWith('MPM_') || name.startsWith('MPM_TEST_')) continue;
    const value = env[name];
    const read = Object.hasOwn(VARIABLES, name) ? VARIABLES[name] : undefined;
    if (read) {
      const problem = value ? read(overlay, value) : undefined;
      if (problem) problems.push(`${name}: ${problem}`);
      continue;
    }
    const meant = suggest(name, Object.keys(VARIABLES));
    if (meant) problems.push(`${name}: unknown variable; did you mean ${meant}?`);
  }
  return { overlay, problems };
}

/** The one of the known words that was probably meant. */
export function suggest(word: string, known: readonly string[]): string | undefined {
  const most = Math.min(3, Math.floor(word.length / 3));
  const ranked = known
    .map((candidate) => ({ candidate, edits: edits(word.toLowerCase(), candidate.toLowerCase()) }))
    .filter((each) => each.edits <= most)
    .toSorted((a, b) => a.edits - b.edits);
  return ranked[0]?.candidate;
}

/** Letters to insert, delete or replace. */
function edits(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, column) => column);
  for (let line = 1; line <= from.length; line++) {
    const next = [line];
    for (let column = 1; column <= to.length; column++) {
      const replace = (row[column - 1] ?? 0) + (from[line - 1] === to[column - 1] ? 0 : 1);
      next.push(Math.min(replace, (row[column] ?? 0) + 1, (next[column - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[to.length] ?? 0;
}

const RESERVED_SCHEMA = /^(?:pg_.*|information_schema)$/;
/** Tables of the ledger, which in the central database stand beside the history. */
const LEDGER = {
  schema: 'mpm_migrate',
  tables: ['runs', 'run_tenants', 'run_parts', 'tool_histories', 'pool'],
};

/** Why the history cannot have a schema or table of this name; undefined when it can. */
export function historyNameProblem(value: unknown, part: 'schema' | 'table'): string | undefined {
  if (typeof value !== 'string' || value === '') return 'must be a name';
  // Room for the names of what belongs to the table, within PostgreSQL's 63 bytes.
  if (value.includes('\0') || Buffer.byteLength(value) > 50) return 'must be a name of at most 50 bytes';
  if (value.includes('.')) return `must be only the ${part}'s name; schema and table are separate keys`;
  if (part === 'schema' && RESERVED_SCHEMA.test(value)) return 'is reserved by PostgreSQL';
  return undefined;
}

/** Why schema and table do not go together. */
export function historyPairProblem({ schema, table }: { schema: string; table: string }): string | undefined {
  return schema === LEDGER.schema && LEDGER.tables.includes(table)
    ? `history: ${schema}.${table} is a table of the ledger`
    : undefined;
}
