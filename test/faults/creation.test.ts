import { execFileSync } from 'node:child_process';
import { statfsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { centralUp } from '../../src/central/schema/up.ts';
import type { Config } from '../../src/config/define.ts';
import { fillPool } from '../../src/tenants/create/pool.ts';
import { provision, resumeProvision } from '../../src/tenants/create/provision.ts';
import { configOf, type TestConfig } from '../helpers/central.ts';
import { type CliResult, cli, startCli } from '../helpers/cli.ts';
import { withDatabases } from '../helpers/database.ts';
import { historyOf, rowsIn } from '../helpers/engine.ts';
import { startProxy } from '../helpers/proxy.ts';
import { startServer } from '../helpers/server.ts';

withDatabases();

/** 1: each message twice; 3: once, in turn before and after it has gone. */
const every = process.env['MPM_TEST_KILLS'] ? 1 : 3;

const CORE = {
  '1_meters.sql': 'create table meters (id int primary key);',
  '2_filler.sql': `create table filler as select repeat(md5(n::text), 30) from generate_series(1, 3000) n;`,
};

interface Row {
  id: string;
  name: string;
  database: string;
  status: string;
}

/** A server of the test's own, so that every database on it can be accounted for. */
interface Place {
  config: TestConfig;
  /** Of the server's database `postgres`. */
  url: string;
  cwd: string;
  rows(): Promise<Row[]>;
  /** Databases that are neither the server's nor the central one, nor templates. */
  databases(): Promise<string[]>;
  run(...args: string[]): Promise<CliResult>;
}

async function place(settings: Record<string, string> = {}): Promise<Place> {
  const server = await startServer({ settings: { max_connections: '200', ...settings } });
  onTestFinished(() => server.stop());
  const cwd = await mkdtemp(path.join(tmpdir(), 'mpm-creation-'));
  onTestFinished(() => rm(cwd, { recursive: true, force: true }));
  const core = path.join(cwd, 'migrations/core');
  await mkdir(core, { recursive: true });
  for (const [name, text] of Object.entries(CORE)) await writeFile(path.join(core, name), text);
  const central = new URL(server.url);
  central.pathname = '/central';
  const config = configOf(central.href);
  config.migrations.core = core;
  await centralUp(config);
  return {
    config,
    url: server.url,
    cwd,
    rows: () =>
      rowsIn<Row>(
        central.href,
        'select c.id::text, c.name, d.database_name as database, d.status from companies c left join company_databases d on d.company_id = c.id order by c.id',
      ),
    databases: async () => {
      const rows = await rowsIn<{ name: string }>(
        server.url,
        "select datname::text as name from pg_database where not datistemplate and datname not in ('postgres', 'central') and datname !~ '^mpm_template'",
      );
      return rows.map(({ name }) => name).toSorted();
    },
    run: (...args) => cli(args, { cwd, env: { MPM_CENTRAL_URL: central.href }, timeout: 60_000 }),
  };
}

const urlOf = ({ url }: Place, database: string): string => {
  const of = new URL(url);
  of.pathname = `/${encodeURIComponent(database)}`;
  return of.href;
};

/** Every tenant is whole and there is no database without one. */
async function requireWhole(at: Place): Promise<Row[]> {
  const rows = await at.rows();
  expect(await at.databases()).toEqual(rows.map(({ database }) => database).toSorted());
  for (const { status, database } of rows) {
    expect(status).toBe('active');
    expect(await historyOf(urlOf(at, database))).toEqual(['1_meters applied', '2_filler applied']);
  }
  return rows;
}

/** The backend of a killed process may still be in CREATE DATABASE, and then holds the lock. */
async function resumed(config: Config, id: string): Promise<void> {
  for (let left = 600; ; left -= 1) {
    try {
      await resumeProvision(config, id);
      return;
    } catch (error) {
      if (left === 0) throw error;
      await sleep(100);
    }
  }
}

/** What a killed process had sent may still be at work. */
async function ownBackendsGone({ url }: Place): Promise<void> {
  for (let left = 600; left > 0; left -= 1) {
    const own = await rowsIn(url, "select from pg_stat_activity where application_name like 'mpm-migrate%'");
    if (own.length === 0) return;
    await sleep(50);
  }
}

test.each(['replay', 'template', 'pool'] as const)(
  'fleet 13: killed before and after each of its messages, a creation by %s leaves nothing, or a row that --resume finishes',
  async (how) => {
    const at = await place();
    at.config.templates = how !== 'replay';
    if (how === 'template') await provision(at.config, { name: 'First' });
    await using proxy = await startProxy(at.url);
    const env = {
      MPM_CENTRAL_URL: proxy.through(at.config.central.url),
      ...(how === 'replay' ? { MPM_TEMPLATES: 'false' } : {}),
    };
    const states = new Set<string>();
    let ended = false;
    // The message is on its way when the process dies, or never left it; with MPM_TEST_KILLS, both of each.
    for (let step = 2; !ended; step += every) {
      if (how === 'pool') await fillPool(at.config, { size: 1 });
      const name = `${how} ${step}`;
      const { child, result } = await startCli(['tenant', 'create', name], { cwd: at.cwd, env });
      proxy.counts.roundTrips = 0;
      proxy.options = {
        onRoundTrip: (number) => {
          if (number !== Math.floor(step / 2)) return undefined;
          child.kill('SIGKILL');
          return step % 2 ? 'cut' : undefined;
        },
      };
      const { code } = await result;
      ended = code === 0;
      await ownBackendsGone(at);
      const row = (await at.rows()).find((each) => each.name === name);
      states.add(row?.status ?? 'none');
      if (row && row.status !== 'active') await resumed(at.config, row.id);
    }
    expect([...states].toSorted()).toEqual(['active', 'none', 'provisioning']);
    if (how === 'pool') {
      const left = await rowsIn<{ database: string }>(
        at.config.central.url,
        'select database_name as database from mpm_migrate.pool',
      );
      for (const { database } of left) await rowsIn(at.url, `drop database "${database}"`);
    }
    expect((await requireWhole(at)).length).toBeGreaterThan(5);
  },
  180_000,
);

test('fleet 13: twenty processes at once, with one name and with twenty; each database of the pool is taken once', async () => {
  const at = await place();
  const same = await Promise.all(Array.from({ length: 20 }, () => at.run('tenant', 'create', 'Acme')));
  expect(same.filter(({ code }) => code === 0)).toHaveLength(1);
  for (const { code, stderr } of same.filter((each) => each.code !== 0)) {
    expect(code).toBe(1);
    expect(stderr).toContain('tenant 1 is already called "Acme"');
  }
  await fillPool(at.config, { size: 5 });
  const different = await Promise.all(
    Array.from({ length: 20 }, (_, nr) => at.run('tenant', 'create', `A c-m_e ${'!'.repeat(nr)}`)),
  );
  expect(different.map(({ code, stderr }) => [code, stderr])).toEqual(different.map(() => [0, '']));
  expect(different.filter(({ stdout }) => stdout.includes('from the pool'))).toHaveLength(5);
  const rows = await requireWhole(at);
  expect(new Set(rows.map(({ database }) => database)).size).toBe(21);
}, 120_000);

test('fleet 13: a disk that is full undoes a registration, whether in its database or in its migrations', async (context) => {
  const at = await place();
  const mount = await mkdtemp(path.join(tmpdir(), 'mpm-disk-'));
  onTestFinished(() => rm(mount, { recursive: true, force: true }));
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=96m,mode=0777', 'tmpfs', mount], { stdio: 'ignore' });
  } catch {
    return context.skip('no file system can be mounted here');
  }
  onTestFinished(() => void execFileSync('umount', ['-l', mount]));
  const [data] = await rowsIn<{ dir: string }>(at.url, "select current_setting('data_directory') as dir");
  const folder = path.join(mount, 'space');
  await mkdir(folder);
  execFileSync('chown', ['--reference', data?.dir ?? '', folder]);
  // New databases are copies of template0, and go where that is; what the server itself writes stays elsewhere.
  await rowsIn(at.url, `create tablespace small location '${folder}'`);
  await rowsIn(at.url, 'alter database template0 set tablespace small');
  at.config.templates = false;

  const reasons: string[] = [];
  const filler = path.join(mount, 'filler');
  // From room for hardly anything to room for the database and not quite for what the migrations put into it.
  for (const room of [0.1, 0.5, 1, 2, 4, 6]) {
    const before = await at.rows();
    const { bavail, bsize } = statfsSync(mount);
    await writeFile(filler, Buffer.alloc(Math.floor(bavail * bsize - room * 1024 * 1024)));
    const error = await provision(at.config, { name: `Company ${room}` }).then(() => undefined, String);
    await rm(filler);
    await rowsIn(at.url, 'checkpoint');
    const [made] = (await at.rows()).slice(before.length);
    if (error !== undefined) reasons.push(error);
    if (error === undefined) expect(made?.status).toBe('active');
    else if (made) {
      // PostgreSQL writes a checkpoint before it drops a database, and with no byte left it cannot.
      expect(error).toMatch(/undoing it failed: can't drop database /);
      expect(made.status).toBe('failed');
      await resumeProvision(at.config, made.id);
    }
    await requireWhole(at);
    if (made) {
      const dropped = await at.run('tenant', 'drop', made.id, '--confirm', made.name);
      expect(dropped).toMatchObject({ code: 0, stderr: '' });
    }
    expect(await at.rows()).toEqual(before);
  }
  for (const reason of reasons)
    expect(reason).toMatch(/could not (extend|write) .*(No space left on device|wrote only)/);
  expect(reasons.join('\n')).toContain('creating the database failed');
  expect(reasons.join('\n')).toContain('applying the migrations failed');
}, 120_000);

test('fleet 49, 51: a creation that was frozen drops nothing of a tenant that another process has finished, or dropped', async () => {
  const at = await place();
  at.config.templates = false;
  // Each tenant's creation stands in its last migration until it is let go.
  await writeFile(
    path.join(at.config.migrations.core, '3_wait.sql'),
    `do $$ begin perform 1 from pg_roles where rolname = 'gate' and pg_sleep(600) is null; end $$;`,
  );
  const ends = async (pattern: string): Promise<void> => {
    await rowsIn(
      at.url,
      `select pg_terminate_backend(pid) from pg_stat_activity where application_name ~ '${pattern}' and pid <> pg_backend_pid()`,
    );
  };
  for (const how of ['finished', 'dropped'] as const) {
    await rowsIn(at.url, 'create role gate');
    const { child, result } = await startCli(['tenant', 'create', how], {
      cwd: at.cwd,
      env: { MPM_CENTRAL_URL: at.config.central.url as string, MPM_TEMPLATES: 'false' },
      timeout: 120_000,
    });
    let id: string | undefined;
    for (let left = 200; id === undefined; left -= 1) {
      if (left === 0) throw new Error('it never came to its last migration');
      await sleep(50);
      const waiting = await rowsIn(at.url, "select from pg_stat_activity where wait_event = 'PgSleep'");
      if (waiting.length) id = (await at.rows()).find(({ name }) => name === how)?.id;
    }
    child.kill('SIGSTOP');
    await rowsIn(at.url, 'drop role gate');
    await ends('^mpm-migrate');
    if (how === 'finished') await resumed(at.config, id);
    else await at.run('tenant', 'drop', id, '--confirm', how);
    child.kill('SIGCONT');
    const { code, stderr } = await result;
    expect(code).toBe(1);
    const row = (await at.rows()).find(({ name }) => name === how);
    if (how === 'finished') {
      expect(row?.status).toBe('active');
      expect(stderr).toContain(`the creation was finished: tenant ${id} is active, and nothing was removed`);
    } else {
      expect(row).toBeUndefined();
      expect(stderr).toContain(`he row ${id} is gone: somebody else has dropped it`);
    }
    expect(await at.databases()).toEqual((await at.rows()).map(({ database }) => database).toSorted());
  }
});
