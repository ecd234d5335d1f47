import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type pg from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import { configFrom } from '../../src/config/load.ts';
import type { ConfigInput } from '../../src/config/define.ts';
import { errorReport } from '../../src/errors.ts';
import { Fleet } from '../../src/fleet/fleet.ts';
import type { ConnectionRequest } from '../../src/postgres/address.ts';
import { connect } from '../../src/postgres/connect.ts';
import { withDatabases } from '../helpers/database.ts';
import { makeFleet, type TestFleet } from '../helpers/fleet.ts';

const databases = withDatabases();

async function fleetFrom(made: TestFleet, input: Omit<ConfigInput, 'migrations'>): Promise<Fleet> {
  const { migrations, root } = made.config;
  const fleet = new Fleet(await configFrom({ ...input, migrations }, {}, { cwd: root }));
  onTestFinished(() => fleet.close());
  return fleet;
}

/** A role that the file's server lets in with that password; it goes when the test ends. */
async function role(name: string, password: string): Promise<string> {
  const full = `${databases.prefix}${name}`;
  await databases.query(`create role ${full} login password '${password}'`);
  onTestFinished(async () => {
    const made = await databases.query<{ name: string }>(
      `select datname as name from pg_database where starts_with(datname, '${databases.prefix}')`,
    );
    // What is of the whole server is dropped from any of them.
    for (const { name: database } of made) {
      await databases.query(`reassign owned by ${full} to current_user; drop owned by ${full}`, database);
    }
    await databases.query(`drop role ${full}`);
  });
  return full;
}

async function scratch(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'mpm-secret-'));
  onTestFinished(() => rm(folder, { recursive: true, force: true }));
  return folder;
}

test('fleet 31: a function gives each connection its login, the tenant’s own too', async () => {
  const made = await makeFleet(databases, { count: 2 });
  const admin = new URL(made.config.central.url);
  const logins = new Map<string, string>();
  for (const tenant of made.tenants) {
    const name = await role(`own${tenant.id}`, `pw-${tenant.id}`);
    logins.set(tenant.id, name);
    await databases.query(`alter database "${tenant.database}" owner to ${name}`);
    await made.of(tenant, `alter schema public owner to ${name}`);
  }
  const requests: ConnectionRequest[] = [];
  const connection = async (request: ConnectionRequest) => {
    requests.push(request);
    const login = request.tenant && logins.get(request.tenant.id);
    return {
      host: admin.hostname,
      port: Number(admin.port),
      ssl: false,
      ...(login
        ? { user: login, password: async () => `pw-${request.tenant?.id}` }
        : { user: admin.username, password: decodeURIComponent(admin.password) }),
      ...(request.server === 'central' ? { database: decodeURIComponent(admin.pathname.slice(1)) } : {}),
    };
  };
  const fleet = await fleetFrom(made, { central: { connection } });
  const report = await fleet.up({ all: true });
  expect(report.counts).toMatchObject({ migrated: 2, failed: 0 });
  for (const tenant of made.tenants) {
    const [owner] = await made.of<{ owner: string }>(
      tenant,
      "select tableowner as owner from pg_tables where tablename = 'meters'",
    );
    expect(owner?.owner).toBe(logins.get(tenant.id));
    const db = await fleet.connect<{ meters: { id: number } }>(tenant.id);
    await db.insertInto('meters').values({ id: 1 }).execute();
  }
  const [first] = made.tenants;
  expect(requests).toContainEqual({
    server: 'central',
    database: 'micro_power_manager',
    tenant: undefined,
    session: false,
  });
  for (const session of [true, false]) {
    expect(requests).toContainEqual({
      server: 'default',
      database: first?.database,
      tenant: { id: '1', name: 'company-1' },
      session,
    });
  }
  const detail = await fleet.doctor();
  expect(detail.findings.filter(({ level }) => level === 'error')).toEqual([]);
});

test('fleet 31: what a connection function throws, or returns wrongly, is an error that names it', async () => {
  const made = await makeFleet(databases, { count: 1 });
  const url = made.config.central.url;
  const failing = await fleetFrom(made, {
    central: { url },
    servers: {
      default: {
        connection: () => {
          throw new Error('the vault is sealed');
        },
      },
    },
  });
  const { tenants } = await failing.up({ tenants: ['1'] });
  expect(tenants).toMatchObject([
    {
      outcome: 'failed',
      error: { code: 'CONNECTION', message: 'servers.default.connection failed: the vault is sealed' },
    },
  ]);
  const wrong = await fleetFrom(made, { central: { connection: () => undefined as never } });
  await expect(wrong.up({ all: true })).rejects.toMatchObject({
    code: 'CONFIG_INVALID',
    message: "central.connection didn't return an object",
  });
});

test('fleet 31: a command gives the URL, once a run, and once more after a refused password', async () => {
  const made = await makeFleet(databases, { count: 2 });
  const folder = await scratch();
  const url = new URL(made.config.central.url);
  const login = await role('rotated', 'first-password');
  await databases.query(`alter role ${login} superuser`);
  url.username = login;
  url.password = 'first-password';
  await writeFile(join(folder, 'url'), url.href);
  const command = `echo x >> ${join(folder, 'runs')}; cat ${join(folder, 'url')}`;
  const runs = async () => (await readFile(join(folder, 'runs'), 'utf8')).length / 2;
  const fleet = await fleetFrom(made, { central: { url: { command } } });

  expect((await fleet.up({ all: true })).counts).toMatchObject({ migrated: 2 });
  await fleet.status({ all: true });
  expect(await runs()).toBe(1);

  await databases.query(`alter role ${login} password 'second-password'`);
  url.password = 'second-password';
  await writeFile(join(folder, 'url'), url.href);
  expect((await fleet.up({ all: true })).counts).toMatchObject({ current: 2, failed: 0 });
  expect(await runs()).toBe(2);

  // It says the same again: there is no third time.
  await databases.query(`alter role ${login} password 'third-password'`);
  for (const _ of [1, 2]) {
    const refused = await fleet.up({ all: true }).catch((error: unknown) => error);
    expect(refused).toMatchObject({ code: 'PASSWORD', hint: expect.stringContaining('central.url') });
    expect(JSON.stringify(errorReport(refused))).not.toContain('second-password');
  }
  expect(await runs()).toBe(3);
});

test('fleet 31: a file holds the URL; what is wrong with a command or a file is told without what it said', async () => {
  const made = await makeFleet(databases, { count: 1 });
  const folder = await scratch();
  const secret = join(folder, 'url');
  await writeFile(secret, `${made.config.central.url}\n`);
  await chmod(secret, 0o600);
  const fleet = await fleetFrom(made, {
    central: { url: { file: secret } },
    servers: { eu: { url: { file: secret } } },
  });
  expect((await fleet.up({ all: true })).counts).toMatchObject({ migrated: 1 });

  const wrong: [ConfigInput['central']['url'], RegExp][] = [
    [
      { command: 'echo hunter2; echo hunter3 >&2; exit 3' },
      /central\.url: its command didn't print a URL: it ended with exit code 3/,
    ],
    [{ command: 'echo hunter2' }, /central\.url: the output of its command isn't a PostgreSQL URL/],
    [{ command: 'yes hunter2' }, /central\.url: its command didn't print a URL: it printed more than 64 KB/],
    [{ command: '/nowhere/hunter2' }, /exit code 127/],
    [{ command: 'sleep 60' }, /its command didn't print a URL: it took longer than 10 s/],
    [{ file: join(folder, 'missing') }, /central\.url: can't read its file/],
  ];
  const look = async ([url, message]: (typeof wrong)[number]): Promise<void> => {
    const { central } = await configFrom({ central: { url: url! } }, {}, { cwd: folder });
    const opened = connect({ url: central.url, applicationName: 'test', connectTimeout: 5000 });
    const error: unknown = await opened.catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ message: expect.stringMatching(message), hint: expect.any(String) });
    if (!('file' in (url as object))) expect(JSON.stringify(errorReport(error))).not.toMatch(/hunter[23]/);
  };
  await Promise.all(wrong.map(look));
});

test('fleet 31: pg’s own configuration fits, connectionString and TLS objects included', async () => {
  const { url } = await databases.create('db');
  const config: pg.ClientConfig = { connectionString: url, ssl: false, statement_timeout: 4321 };
  const { central } = await configFrom({ central: { connection: async () => config } }, {});
  const connection = await connect({ url: central.url, applicationName: 'test', connectTimeout: 5000 });
  const { rows } = await connection.execute(
    "select current_database() as name, current_setting('statement_timeout') as t",
  );
  await connection.close();
  expect(rows).toEqual([{ name: new URL(url).pathname.slice(1), t: '4321ms' }]);
});
