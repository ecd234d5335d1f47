import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { inspect } from 'node:util';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ConfigInput } from '../../src/config/define.ts';
import { configFrom, type ConfigOverrides, loadConfig } from '../../src/config/load.ts';
import { completeUrl, urlProblem } from '../../src/config/url.ts';
import { MpmError } from '../../src/errors.ts';
import { openFleet } from '../../src/index.ts';

const URL = 'postgres://app:secret@db.example:5433/central';
let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'mpm-config-'));
  write('package.json', '{ "name": "app" }');
});
afterEach(() => rmSync(root, { recursive: true }));

function write(file: string, content: string): void {
  mkdirSync(dirname(join(root, file)), { recursive: true });
  writeFileSync(join(root, file), content);
}

function load(env: Record<string, string> = {}, overrides: ConfigOverrides = {}, cwd = root) {
  return loadConfig(overrides, { cwd, env });
}

async function refused(env: Record<string, string> = {}, overrides: ConfigOverrides = {}): Promise<MpmError> {
  const error: unknown = await load(env, overrides).catch((thrown: unknown) => thrown);
  if (!(error instanceof MpmError)) throw new Error('it was loaded');
  expect(JSON.stringify([error.message, error.hint])).not.toContain('secret');
  return error;
}

test('MPM_CENTRAL_URL alone is enough to start; everything else has its default', async () => {
  expect(await load({ MPM_CENTRAL_URL: URL })).toMatchObject({
    root,
    central: { url: URL },
    servers: { default: { name: 'default', url: 'postgres://app:secret@db.example:5433/postgres' } },
    migrations: {
      core: join(root, 'migrations/core'),
      central: join(root, 'migrations/central'),
      tenants: join(root, 'migrations/tenants'),
      plugins: join(root, 'migrations/plugins'),
      seeds: join(root, 'migrations/seeds'),
    },
    tenants: { builtIn: true },
    templates: true,
    sessions: { connections: 32, perTenant: 8, waitTimeout: 10_000, idleTimeout: 60_000, ttl: 10_000 },
    history: { schema: 'mpm_migrate', table: 'history' },
    pace: {
      lockTimeout: 1000,
      statementTimeout: 0,
      idleInTransactionTimeout: 600_000,
      lockWait: 30_000,
      retries: 10,
      connectTimeout: 10_000,
    },
  });
});

test.each([
  ['.config/mpm-migrate.json', `{ "central": { "url": "postgres://u:wib"ble2@h/d" } }`],
  ['.config/mpm-migrate.json', `{ "central": { "url": wibble2 } }`],
  ['mpm-migrate.config.ts', `export default {\n  central: { url: 'postgres://u:wib'ble2@h/d' },\n};\n`],
  [
    'mpm-migrate.config.ts',
    'export default {\n  central: {\n    url: "postgres://u:wibble2@h/d,\n  },\n};\n',
  ],
  ['mpm-migrate.config.mjs', `const password = wibble2';\nexport default { central: { url: password } };\n`],
  ['.mpm-migraterc.yaml', 'central:\n  url: "postgres://u:wibble2@h/d\n'],
  ['.mpm-migraterc.yaml', 'central:\n  password: *wibble2\n'],
  ['.mpm-migraterc.yaml', 'central:\n  url: !wibble2 x\n'],
])(
  'fleet 28: a syntax error in %s names the place and shows nothing of the file: %#',
  async (file, content) => {
    write(file, content);
    const error: unknown = await load({}, { file: join(root, file) }).catch((thrown: unknown) => thrown);
    if (!(error instanceof MpmError)) throw new Error('it was loaded');
    expect(error).toMatchObject({ code: 'CONFIG_UNREADABLE', message: expect.stringMatching(/mpm-migrate/) });
    expect(inspect(error, { depth: null })).not.toMatch(/wib|ble2/);
  },
);

test('fleet 30: without a central URL commands name where it goes, and DATABASE_URL where that is set', async () => {
  const none = await refused();
  expect(none.code).toBe('CONFIG_MISSING');
  expect(none.hint).toMatch(/central\.url.*mpm-migrate init.*MPM_CENTRAL_URL=postgres/);
  expect(none.hint).not.toContain('DATABASE_URL');
  const other = await refused({ DATABASE_URL: URL });
  expect(other.hint).toContain('MPM_CENTRAL_URL="$DATABASE_URL"');
  for (const content of ['{}', '{"central": {}}', '{"servers": {"a": "postgres://a"}}']) {
    write('mpm-migrate.config.json', content);
    const file = await refused({ DATABASE_URL: URL });
    expect(file.message).toContain('central.url: is missing');
    expect(file.hint).toBe(other.hint);
  }
});

test('fleet 30: the library names central.url and shows it passed in; it knows no environment', async () => {
  const hint = expect.stringMatching(/^Set central\.url.*openFleet\(\{ central: \{ url: 'postgres:/);
  const cases = [
    () => openFleet(undefined, { cwd: root }),
    () => openFleet({} as ConfigInput, { cwd: root }),
    () => openFleet({ central: {} }, { cwd: root }),
  ];
  for (const open of cases) {
    const error: unknown = await open().catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ hint });
    expect(JSON.stringify([(error as MpmError).message, (error as MpmError).hint])).not.toMatch(
      /MPM_|DATABASE_URL/,
    );
  }
});

test('fleet 31: one of url and connection, for the central database and each server', async () => {
  const connection = () => ({});
  const wrong: [ConfigInput, string][] = [
    [{ central: { url: URL, connection } }, "central.connection: can't be combined with a url"],
    [
      { central: { url: URL }, servers: { eu: { connection, directUrl: URL } } },
      "servers.eu.directUrl: can't be combined with a connection",
    ],
  ];
  for (const [input, message] of wrong) {
    await expect(configFrom(input, {})).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringContaining(message),
    });
  }
});

test('fleet 31: MPM_CENTRAL_URL goes before a connection in the file', async () => {
  write('mpm-migrate.config.mjs', 'export default { central: { connection: () => ({}) } };');
  expect((await load({ MPM_CENTRAL_URL: URL })).central.url).toBe(URL);
});

describe('files', () => {
  test.each([
    [
      'mpm-migrate.config.ts',
      `import { type ConfigInput, defineConfig } from 'mpm-migrate';\nconst url: string = '${URL}';\nexport default defineConfig({ central: { url } } satisfies ConfigInput);`,
    ],
    ['mpm-migrate.config.mts', `export default { central: { url: '${URL}' } };`],
    ['mpm-migrate.config.js', `module.exports = { central: { url: '${URL}' } };`],
    ['mpm-migrate.config.mjs', `export default { central: { url: '${URL}' } };`],
    ['mpm-migrate.config.cjs', `module.exports = { central: { url: '${URL}' } };`],
    ['mpm-migrate.config.json', JSON.stringify({ central: { url: URL } })],
    ['mpm-migrate.config.yaml', `central:\n  url: ${URL}\n`],
    ['.mpm-migraterc', `central:\n  url: ${URL}\n`],
    ['.mpm-migraterc.json', JSON.stringify({ central: { url: URL } })],
    ['package.json', JSON.stringify({ name: 'a', 'mpm-migrate': { central: { url: URL } } })],
  ])('%s is found, from a folder below as well', async (file, content) => {
    write(file, content);
    mkdirSync(join(root, 'a/b'), { recursive: true });
    for (const cwd of [root, join(root, 'a/b')]) {
      expect(await load({}, {}, cwd)).toMatchObject({ file: join(root, file), root, central: { url: URL } });
    }
  });

  test('relative paths start at the file; servers may be texts; times are ms', async () => {
    write(
      'etc/mpm.json',
      JSON.stringify({
        central: { url: URL },
        servers: {
          eu1: 'postgres://eu1',
          eu2: { url: 'postgresql://u@eu2:1/x', directUrl: 'postgres://d/', maxConnections: 4 },
        },
        migrations: { core: '../core', templates: 'templates' },
        tenants: { table: 'app.customers', columns: { id: 'uid', name: 'title', database: 'db' } },
        history: { schema: 'ops', table: 'applied' },
        pace: { lockTimeout: '2s', statementTimeout: '1min', lockWait: 0, concurrency: 8, retries: 0 },
      }),
    );
    expect(await load({}, { file: 'etc/mpm.json' })).toMatchObject({
      root: join(root, 'etc'),
      servers: {
        default: { url: 'postgres://app:secret@db.example:5433/postgres' },
        eu1: { name: 'eu1', url: 'postgres://eu1/postgres' },
        eu2: {
          name: 'eu2',
          url: 'postgresql://u@eu2:1/x',
          directUrl: 'postgres://d/postgres',
          maxConnections: 4,
        },
      },
      migrations: { core: join(root, 'core'), templates: join(root, 'etc/templates') },
      tenants: { table: 'app.customers', columns: { id: 'uid', name: 'title', database: 'db' } },
      history: { schema: 'ops', table: 'applied' },
      pace: { lockTimeout: 2000, statementTimeout: 60_000, lockWait: 0, concurrency: 8, retries: 0 },
    });
  });

  test('histories 3, 4: the order of migrations, and names that are no mistakes', async () => {
    const usual = { order: 'version', sameVersion: [], unnumbered: [] };
    const said = { order: 'kysely', sameVersion: ['1_a', '1_b'], unnumbered: ['init'] };
    write('mpm-migrate.config.json', JSON.stringify({ central: { url: URL } }));
    expect((await load()).migrations).toMatchObject(usual);
    write('mpm-migrate.config.json', JSON.stringify({ central: { url: URL }, migrations: said }));
    expect((await load()).migrations).toMatchObject(said);
  });

  test('fleet 45: templates.except, which MPM_TEMPLATES=true leaves as it is', async () => {
    write(
      'mpm-migrate.config.json',
      JSON.stringify({ central: { url: URL }, templates: { except: ['1_a'] } }),
    );
    expect(await load()).toMatchObject({ templates: true, perTenant: ['1_a'] });
    expect(await load({ MPM_TEMPLATES: 'true' })).toMatchObject({ templates: true, perTenant: ['1_a'] });
    expect(await load({ MPM_TEMPLATES: 'false' })).toMatchObject({ templates: false });
    write('mpm-migrate.config.json', JSON.stringify({ central: { url: URL }, templates: false }));
    expect(await load({ MPM_TEMPLATES: 'true' })).toMatchObject({ templates: true });
  });

  test('every problem is reported at once, with its path, and no password', async () => {
    write(
      'mpm-migrate.config.json',
      JSON.stringify({
        central: { url: 'mysql://app:secret@host/x' },
        server: {},
        servers: {
          eu1: { uri: 'x' },
          eu2: 'postgres://a:secret#1@b/c',
          eu3: { url: 'postgres://a', maxConnections: 0 },
        },
        migrations: { cores: 'x', core: 7 },
        tenants: { query: 'select 1', columns: {} },
        history: { schema: 'pg_catalog', table: '' },
        pace: { lockTimeout: '5 parsecs', locktimeout: 1, retries: -1, concurrency: 1.5 },
        central_url: 'x',
      }),
    );
    const { code, message } = await refused();
    expect(code).toBe('CONFIG_INVALID');
    const shortened = message.replace(/(known options: central, servers, ).*/, '$1…');
    expect(shortened.split('\n').toSorted()).toEqual(
      [
        'mpm-migrate.config.json has 16 problems',
        "  central.url: isn't a PostgreSQL URL; it must start with postgres:// or postgresql://",
        '  server: unknown option; did you mean servers?',
        '  central_url: unknown option; known options: central, servers, …',
        '  servers.eu1.uri: unknown option; did you mean url?',
        '  servers.eu1.url: is missing; give a URL like postgres://user@host:5432/database',
        "  servers.eu2.url: isn't a valid URL; in a password, write @ : / ? # % as %40 %3A %2F %3F %23 %25",
        '  servers.eu3.maxConnections: must be a whole number, 1 or more',
        '  migrations.cores: unknown option; did you mean core?',
        '  migrations.core: must be a non-empty string',
        "  tenants.columns: can't be combined with a query",
        '  history.schema: is reserved by PostgreSQL',
        '  history.table: must be a name',
        '  pace.lockTimeout: must be a duration like 500ms, 5s, 2min, or 1h, a number of milliseconds, or 0 for none',
        '  pace.locktimeout: unknown option; did you mean lockTimeout?',
        '  pace.retries: must be a whole number, 0 or more',
        '  pace.concurrency: must be a whole number, 1 or more',
      ].toSorted(),
    );
  });

  test.each([
    ['{}', 'mpm-migrate.config.json: central.url: is missing; give a URL'],
    [
      '{"central": {"url": {"command": "x", "file": "y"}}}',
      'central.url: must be a URL like postgres://user@host:5432/database, or an object with either command or file',
    ],
    ['{"central": {"url": {"file": ""}}}', 'central.url: file must be a non-empty string'],
    [
      '{"central": {"connection": "x"}}',
      'central.connection: must be a function, which requires a TypeScript or JavaScript configuration',
    ],
    [`{"central": {"url": "${URL}"}, "servers": {"a": {}}}`, 'servers.a.url: is missing'],
    [
      `{"central": {"url": "${URL}"}, "sessions": {"reset": "sometimes"}}`,
      'sessions.reset: must be one of auto, always, never',
    ],
    ...['"no"', '{}', '{"except": "1_a"}', '{"except": [1]}', '{"except": [], "only": []}'].map(
      (templates) => [
        `{"central": {"url": "${URL}"}, "templates": ${templates}}`,
        'templates: must be true, false, or { except: [names of migrations] }',
      ],
    ),
    [
      `{"central": {"url": "${URL}"}, "migrations": {"order": "name"}}`,
      'migrations.order: must be "version" or "kysely" or "text"',
    ],
    [
      `{"central": {"url": "${URL}"}, "migrations": {"sameVersion": "1_a"}}`,
      'migrations.sameVersion: must be a list of names',
    ],
    ['{"central": "postgres://a"}', 'mpm-migrate.config.json: central: must be an object'],
    ['{"central": {}}', 'mpm-migrate.config.json: central.url: is missing; give a URL'],
    ['[]', "mpm-migrate.config.json: it doesn't contain a configuration object"],
    [
      `{"central": {"url": "${URL}"}, "history": {"table": "runs"}}`,
      'mpm_migrate.runs is a table of the ledger',
    ],
    [`{"central": {"url": "${URL}"}, "tenants": {"table": "t"}}`, 'tenants.columns: is missing'],
    [`{"central": {"url": "${URL}"}, "servers": {"a": 5}}`, 'servers.a: must be an object'],
  ])('%s: %s', async (content, message) => {
    write('mpm-migrate.config.json', content);
    expect((await refused()).message).toContain(message);
  });

  test.each([
    [
      'mpm-migrate.config.ts',
      'export default {\n  central: { url: },\n};',
      /mpm-migrate\.config\.ts:2:19: Unexpected token/,
    ],
    ['mpm-migrate.config.ts', 'export const config = {};', /has no default export/],
    ['mpm-migrate.config.ts', `throw new Error('no vault');`, /mpm-migrate\.config\.ts:1:1: no vault/],
    [
      'mpm-migrate.config.json',
      `{ "central": { "url": "${URL}"`,
      /read the configuration: mpm-migrate\.config\.json: Expected/,
    ],
    ['mpm-migrate.config.yaml', `central:\n  url: ${URL}\n  : [`, /read the configuration: YAML Error/],
  ])('%s that cannot be read: %s', async (file, content, message) => {
    write(file, content);
    expect(await refused()).toMatchObject({
      code: 'CONFIG_UNREADABLE',
      message: expect.stringMatching(message),
    });
  });

  test("a file that was named and doesn't exist", async () => {
    for (const [env, overrides] of [
      [{}, { file: 'nope.ts' }],
      [{ MPM_CONFIG: 'nope.ts' }, {}],
    ] as const) {
      expect(await refused(env, overrides)).toMatchObject({
        code: 'CONFIG_UNREADABLE',
        subject: join(root, 'nope.ts'),
      });
    }
  });
});

describe('flag > environment > file > default', () => {
  test('each wins over what follows', async () => {
    write(
      'mpm-migrate.config.json',
      JSON.stringify({
        central: { url: 'postgres://file/x' },
        pace: { lockTimeout: 1, lockWait: 1, retries: 1, concurrency: 1 },
      }),
    );
    const env = {
      MPM_CENTRAL_URL: 'postgres://env/x',
      MPM_LOCK_TIMEOUT: '2s',
      MPM_RETRIES: '2',
      MPM_CONCURRENCY: '',
      MPM_CORE_FOLDER: 'c',
    };
    const config = await load(env, { pace: { retries: 3 } });
    expect(config).toMatchObject({
      central: { url: 'postgres://env/x' },
      migrations: { core: join(root, 'c') },
      pace: { lockTimeout: 2000, lockWait: 1, retries: 3, concurrency: 1 },
    });
    expect((await load(env, { centralUrl: 'postgres://flag/x' })).central.url).toBe('postgres://flag/x');
  });

  test('MPM_CENTRAL_URL stands in for a file that leaves it out', async () => {
    write('mpm-migrate.config.json', '{"pace": {"retries": 4}}');
    expect(await load({ MPM_CENTRAL_URL: URL })).toMatchObject({
      central: { url: URL },
      pace: { retries: 4 },
    });
  });

  test('values are checked and typing errors noticed; variables of the product around us are not ours', async () => {
    const { message } = await refused({
      MPM_CENTRAL_URL: 'postgres://a:secret%@b/c',
      MPM_LOCK_TIMEOT: '5s',
      MPM_LOCK_WAIT: 'long',
      MPM_RETRIES: '-1',
      MPM_HISTORY_SCHEMA: 'pg_toast',
      MPM_TEST_URL: 'x',
      MPM_ENV: 'production',
      MPM_LOAD_DEMO_DATA: 'false',
      MPM_BACKEND_URL: 'https://api.example',
    });
    expect(message.split('\n')).toEqual([
      'The environment has 5 problems',
      "  MPM_CENTRAL_URL: contains a % that isn't an escape; write %25",
      '  MPM_LOCK_TIMEOT: unknown variable; did you mean MPM_LOCK_TIMEOUT?',
      expect.stringContaining('  MPM_LOCK_WAIT: must be a duration'),
      '  MPM_RETRIES: must be a whole number, 0 or more',
      '  MPM_HISTORY_SCHEMA: is reserved by PostgreSQL',
    ]);
  });

  test.each(['MPM_ACTOR', 'GITHUB_ACTOR', 'GITLAB_USER_LOGIN', 'BUILDKITE_BUILD_CREATOR', 'CIRCLE_USERNAME'])(
    'the actor is that of %s',
    async (name) => {
      expect((await load({ MPM_CENTRAL_URL: URL, [name]: 'ada' })).actor).toBe('ada');
      expect((await load({ MPM_CENTRAL_URL: URL, [name]: 'ada' }, { actor: 'bob' })).actor).toBe('bob');
    },
  );
});

describe('URLs', () => {
  const env = {
    PGHOST: 'pg.example',
    PGPORT: '6000',
    PGUSER: 'a b',
    PGPASSWORD: 'p@ss',
    PGSSLMODE: 'require',
    PGDATABASE: 'd/b',
  };

  test("libpq's variables fill what is left out, and nothing else", () => {
    const complete = (url: string) => completeUrl(url, env, { name: 'usual', fromEnv: true });
    expect(complete('postgres://')).toBe('postgres://a%20b:p%40ss@pg.example:6000/d%2Fb?sslmode=require');
    expect(complete('postgres:///x')).toBe('postgres://a%20b:p%40ss@pg.example:6000/x?sslmode=require');
    expect(complete('postgresql://u:w@h:1/x?sslmode=disable')).toBe('postgresql://u:w@h:1/x?sslmode=disable');
    expect(complete('postgres://u@/x?host=/run')).toBe(
      'postgres://u:p%40ss@:6000/x?host=%2Frun&sslmode=require',
    );
    expect(completeUrl('postgres://h', { PGDATABASE: 'x' }, { name: 'postgres', fromEnv: false })).toBe(
      'postgres://h/postgres',
    );
    expect(
      completeUrl('postgres:///d', { PGHOST: '/var/run/postgresql' }, { name: 'x', fromEnv: true }),
    ).toBe('postgres:///d?host=%2Fvar%2Frun%2Fpostgresql');
    expect(completeUrl('postgres://[::1]/d', {}, { name: 'x', fromEnv: true })).toBe('postgres://[::1]/d');
  });

  test('the central database has its usual name when nothing names one', async () => {
    expect((await load({ MPM_CENTRAL_URL: 'postgres://h' })).central.url).toBe(
      'postgres://h/micro_power_manager',
    );
    expect((await load({ MPM_CENTRAL_URL: 'postgres://h', PGDATABASE: 'x' })).central.url).toBe(
      'postgres://h/x',
    );
  });

  test.each([
    'postgres://',
    'postgres:///db',
    'postgres://u@/db',
    'postgres://%2Fvar%2Frun/db',
    'postgresql://u:p%40@[::1]:5432/d?x=y',
  ])('%s is one', (url) => expect(urlProblem(url)).toBeUndefined());
  test.each(['', 'localhost', 'http://x', 'postgres:db', 'postgres://a:b@h:port/x', 'postgres://u:100%@h/x'])(
    '%s is none',
    (url) => expect(urlProblem(url)).toBeTypeOf('string'),
  );
});

test('fleet 47: the search goes on past packages to the top of the workspace or repository', async () => {
  const content = (name: string) => JSON.stringify({ central: { url: URL }, history: { schema: name } });
  write('repo/.git/HEAD', '');
  write('repo/mpm-migrate.config.json', content('top'));
  write('repo/packages/db/package.json', '{ "name": "db" }');
  const at = (folder: string) => load({}, {}, join(root, folder));
  const top = join(root, 'repo/mpm-migrate.config.json');
  expect(await at('repo/packages/db')).toMatchObject({
    file: top,
    root: join(root, 'repo'),
    history: { schema: 'top' },
  });

  // The nearest counts, and the other one is known.
  write('repo/packages/db/mpm-migrate.config.json', content('db'));
  expect(await at('repo/packages/db')).toMatchObject({ history: { schema: 'db' }, leftOut: top });

  write('mono/package.json', '{ "workspaces": ["packages/*"] }');
  write('mono/mpm-migrate.config.json', content('mono'));
  write('mono/packages/a/package.json', '{}');
  expect(await at('mono/packages/a')).toMatchObject({ history: { schema: 'mono' } });

  // What is outside of the repository does not count, and is named.
  write('mpm-migrate.config.json', content('outside'));
  write('other/.git/HEAD', '');
  write('other/src/x', '');
  await expect(at('other/src')).rejects.toMatchObject({
    code: 'CONFIG_MISSING',
    message: expect.stringContaining(join(root, 'mpm-migrate.config.json')) as string,
    hint: expect.stringContaining(`--config ${join(root, 'mpm-migrate.config.json')}`) as string,
  });
  const url = { MPM_CENTRAL_URL: URL };
  expect(await load(url, {}, join(root, 'other'))).toMatchObject({
    leftOut: join(root, 'mpm-migrate.config.json'),
  });
});

test('confidence 1: who needs no central database needs no URL of it either; what is said is checked all the same', async () => {
  const without = (env: Record<string, string> = {}) =>
    loadConfig({}, { cwd: root, env, withoutCentral: true });
  expect(await without()).toMatchObject({
    central: { absent: true },
    migrations: { core: join(root, 'migrations/core') },
  });
  const { central } = await without({ MPM_CENTRAL_URL: URL });
  expect(central).toEqual({ url: URL });
  write(
    'mpm-migrate.config.json',
    '{ "migrations": { "core": "sql" }, "lint": { "rules": { "rename": "off" } } }',
  );
  expect(await without()).toMatchObject({
    central: { absent: true },
    migrations: { core: join(root, 'sql') },
    lint: { rules: { rename: 'off' } },
  });
  write('mpm-migrate.config.json', '{ "central": {}, "lint": { "rules": { "rename": "no" }, "level": 1 } }');
  await expect(without()).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: expect.stringMatching(
      /lint\.rules\.rename: must be "off" or "warn" or "error"[^]*lint\.level: unknown option/,
    ),
  });
});
