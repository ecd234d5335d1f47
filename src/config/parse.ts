import * as z from 'zod/mini';
import { type ConnectionFunction, isObject } from './connection-function.ts';
import type { ConfigInput, ServerInput, SessionReset, UrlInput } from './define.ts';
import { DURATION_FORM, parseDuration } from '../pace.ts';
import { suggest, historyNameProblem } from './environment.ts';
import { urlProblem } from './url.ts';

/** Checked: says the same as {@link ConfigInput}, with every server as an object. */
export interface CheckedConfig extends Omit<ConfigInput, 'servers'> {
  servers?: Record<string, ServerInput>;
}

/** A check whose problem is told in our own words. */
function checked<T>(problemOf: (value: unknown) => string | undefined) {
  return z.custom<T>((value) => problemOf(value) === undefined, {
    error: (issue) => problemOf(issue.input) ?? 'is not valid',
  });
}

const text = checked<string>((value) =>
  value === undefined
    ? 'is missing'
    : typeof value === 'string' && value
      ? undefined
      : 'must be a non-empty string',
);
const URL_FORM = 'a URL like postgres://user@host:5432/database';
const url = checked<UrlInput>((value) => {
  if (typeof value === 'string') return urlProblem(value);
  if (!isObject(value)) return `must be ${URL_FORM}, or { command } or { file }`;
  const [key, ...more] = Object.keys(value);
  const known = (key === 'command' || key === 'file') && !more.length;
  if (!known) return `must be ${URL_FORM}, or an object with either command or file`;
  return typeof value[key] === 'string' && value[key] ? undefined : `${key} must be a non-empty string`;
});
const connection = checked<ConnectionFunction>((value) =>
  typeof value === 'function'
    ? undefined
    : 'must be a function, which requires a TypeScript or JavaScript configuration',
);
const duration = checked<number | string>((value) => {
  const ms = typeof value === 'number' || typeof value === 'string' ? parseDuration(value) : undefined;
  return ms === undefined ? `must be ${DURATION_FORM}` : undefined;
});
const whole = (least: number) =>
  checked<number>((value) =>
    Number.isInteger(value) && Number(value) >= least
      ? undefined
      : `must be a whole number, ${least} or more`,
  );

const name = (part: 'schema' | 'table') => checked<string>((value) => historyNameProblem(value, part));

const central = { url: z.optional(url), connection: z.optional(connection) };
const server = {
  url: z.optional(url),
  directUrl: z.optional(url),
  connection: z.optional(connection),
  maxConnections: z.optional(whole(1)),
  maxLag: z.optional(duration),
};
const columns = {
  id: text,
  name: text,
  database: text,
  server: z.optional(text),
  status: z.optional(text),
  labels: z.optional(text),
};
const query = { query: text };
const table = { table: text, columns: z.strictObject(columns) };
const oneOf = <T extends string>(...words: T[]) =>
  checked<T>((value) =>
    words.includes(value as T) ? undefined : `must be ${words.map((word) => `"${word}"`).join(' or ')}`,
  );

const names = checked<readonly string[]>((value) =>
  Array.isArray(value) && value.every((each) => typeof each === 'string' && each)
    ? undefined
    : 'must be a list of names',
);
const migrations = {
  core: z.optional(text),
  central: z.optional(text),
  tenants: z.optional(text),
  plugins: z.optional(text),
  seeds: z.optional(text),
  templates: z.optional(text),
  order: z.optional(oneOf('version', 'kysely', 'text')),
  sameVersion: z.optional(names),
  unnumbered: z.optional(names),
};
const role = checked<string>((value) =>
  typeof value === 'string' && value !== '' && Buffer.byteLength(value) <= 63
    ? undefined
    : "must be a role's name",
);
const roles = z.array(role, { error: 'must be a list of roles' });
const history = {
  schema: z.optional(name('schema')),
  table: z.optional(name('table')),
  owners: z.optional(roles),
};
const verify = {
  ignore: z.optional(z.array(text, { error: 'must be a list of patterns' })),
  reference: z.optional(text),
};
const lint = {
  rules: z.optional(z.record(z.string(), oneOf('off', 'warn', 'error'))),
  server: z.optional(text),
};
const databases = { connect: z.optional(roles), template: z.optional(text) };
const pace = {
  concurrency: z.optional(whole(1)),
  lockTimeout: z.optional(duration),
  statementTimeout: z.optional(duration),
  idleInTransactionTimeout: z.optional(duration),
  lockWait: z.optional(duration),
  retries: z.optional(whole(0)),
  connectTimeout: z.optional(duration),
};
const amount = checked<number | string>((value) =>
  /^(?:[1-9]\d{0,8}|\d{1,2}(?:\.\d+)?%|100%)$/.test(String(value))
    ? undefined
    : 'must be a number, 1 or more, or a percentage like 2%',
);
const wave = {
  name: text,
  labels: z.record(z.string(), text),
  concurrency: z.optional(whole(1)),
  maxFailures: z.optional(amount),
};
const RESETS: readonly unknown[] = ['auto', 'always', 'never'] satisfies SessionReset[];
const reset = checked<SessionReset>((value) =>
  RESETS.includes(value) ? undefined : `must be one of ${RESETS.join(', ')}`,
);
const userColumns = { email: text, tenant: text };
const userTable = { table: text, columns: z.strictObject(userColumns) };
const sessions = {
  connections: z.optional(whole(1)),
  perTenant: z.optional(whole(1)),
  waitTimeout: z.optional(duration),
  idleTimeout: z.optional(duration),
  ttl: z.optional(duration),
  reset: z.optional(reset),
};
const templatesForm = checked<NonNullable<ConfigInput['templates']>>((value) => {
  if (typeof value === 'boolean') return undefined;
  const form = 'must be true, false, or { except: [names of migrations] }';
  if (!isObject(value) || Object.keys(value).join() !== 'except') return form;
  const { except } = value;
  const isList = Array.isArray(except) && except.every((name) => typeof name === 'string' && name);
  return isList ? undefined : form;
});

const root = (tenants: 'query' | 'table', users: 'query' | 'table') => ({
  central: z.strictObject(central),
  servers: z.optional(z.record(z.string(), z.strictObject(server))),
  migrations: z.optional(z.strictObject(migrations)),
  tenants: z.optional(tenants === 'query' ? z.strictObject(query) : z.strictObject(table)),
  users: z.optional(users === 'query' ? z.strictObject(query) : z.strictObject(userTable)),
  sessions: z.optional(z.strictObject(sessions)),
  templates: z.optional(templatesForm),
  waves: z.optional(z.array(z.strictObject(wave))),
  outOfOrder: z.optional(oneOf('refuse', 'apply')),
  folders: z.optional(oneOf('synced', 'pinned')),
  history: z.optional(z.strictObject(history)),
  verify: z.optional(z.strictObject(verify)),
  lint: z.optional(z.strictObject(lint)),
  databases: z.optional(z.strictObject(databases)),
  pace: z.optional(z.strictObject(pace)),
});

/** The keys of each object, for "did you mean"; `*` is any name. */
const KEYS: Record<string, string[]> = {
  '': Object.keys(root('table', 'table')),
  central: Object.keys(central),
  'servers.*': Object.keys(server),
  migrations: Object.keys(migrations),
  tenants: ['query', 'table', 'columns'],
  'tenants.columns': Object.keys(columns),
  users: ['query', 'table', 'columns'],
  'users.columns': Object.keys(userColumns),
  sessions: Object.keys(sessions),
  history: Object.keys(history),
  verify: Object.keys(verify),
  lint: Object.keys(lint),
  databases: Object.keys(databases),
  pace: Object.keys(pace),
  'waves.*': Object.keys(wave),
};

/** Takes what a configuration file holds: a trusted configuration, or every problem with its path. */
export function parseConfig(raw: unknown): { config: CheckedConfig } | { problems: string[] } {
  if (!isObject(raw)) return { problems: ["it doesn't contain a configuration object"] };
  const form = (key: string) => (isObject(raw[key]) && 'query' in raw[key] ? 'query' : 'table');
  const whole = normalized(raw);
  const result = z.strictObject(root(form('tenants'), form('users'))).safeParse(whole);
  const problems = result.success ? [] : result.error.issues.flatMap((issue) => describe(issue, raw));
  problems.push(...unreachable(whole));
  return problems.length ? { problems } : { config: result.data as CheckedConfig };
}

/** What says not, or twice, how it is reached. */
function unreachable({ central, servers }: Record<string, unknown>): string[] {
  const named = Object.entries(isObject(servers) ? servers : {}).map(
    ([name, each]) => [`servers.${name}`, each] as const,
  );
  return [['central', central] as const, ...named].flatMap(([at, each]) => {
    if (!isObject(each)) return [];
    const { url: address, directUrl, connection: ask } = each;
    if (address === undefined && ask === undefined) return [`${at}.url: is missing; give ${URL_FORM}`];
    if (ask === undefined) return [];
    return [
      ...(address === undefined ? [] : [`${at}.connection: can't be combined with a url`]),
      ...(directUrl === undefined
        ? []
        : [`${at}.directUrl: can't be combined with a connection, which knows what each connection is for`]),
    ];
  });
}

function normalized(raw: Record<string, unknown>): Record<string, unknown> {
  const { servers, central: given } = raw;
  const central = given ?? {};
  if (!isObject(servers)) return { ...raw, central };
  const objects = Object.entries(servers).map(([name, value]) => [
    name,
    typeof value === 'string' ? { url: value } : value,
  ]);
  return { ...raw, central, servers: Object.fromEntries(objects) };
}

function describe(issue: z.core.$ZodIssue, raw: unknown): string[] {
  const path = issue.path.map(String);
  const at = path.join('.');
  switch (issue.code) {
    case 'unrecognized_keys': {
      const ofMany = (path[0] === 'servers' || path[0] === 'waves') && path.length === 2;
      const pattern = ofMany ? `${path[0]}.*` : at;
      const known = KEYS[pattern] ?? [];
      return issue.keys.map((key) => {
        const full = [...path, key].join('.');
        if ((at === 'tenants' || at === 'users') && known.includes(key))
          return `${full}: can't be combined with a query`;
        const meant = suggest(key, known);
        return `${full}: unknown option; ${meant ? `did you mean ${meant}?` : `known options: ${known.join(', ')}`}`;
      });
    }
    case 'invalid_type':
      return [`${at}: ${valueAt(raw, path) === undefined ? 'is missing' : 'must be an object'}`];
    default:
      return [`${at}: ${issue.message}`];
  }
}

function valueAt(value: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((inner, key) => (isObject(inner) ? inner[key] : undefined), value);
}
