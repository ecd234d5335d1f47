/**
 * Databases for a test file, and the guard that fails the file when it leaves anything behind.
 *
 *   const databases = withDatabases();            // once, at the top of the file
 *   test('…', async () => {
 *     const { name, url } = await databases.create('acme');
 *   });
 */
import { randomBytes } from 'node:crypto';
import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import pg from 'pg';
import { afterAll, beforeAll } from 'vitest';
import { isCliRunner } from './cli.ts';
import { place } from './worker-setup.ts';

export interface TestDatabase {
  name: string;
  url: string;
  drop(): Promise<void>;
}

export interface TestDatabases {
  /** What the names of all of this file's databases begin with. Code under test that names a database must
   * use it too, for the guard to see it. */
  readonly prefix: string;
  /** A new, empty database; dropped after the file's last test. */
  create(label?: string): Promise<TestDatabase>;
  /** A copy of a database that nobody is connected to. */
  clone(template: string, label?: string): Promise<TestDatabase>;
  /** Takes over a database that code under test has made: to be dropped after the file's last test. */
  adopt(name: string): TestDatabase;
  /** Rows of a query, as superuser; in a database of the server, by default `postgres`. */
  query<Row extends object = Record<string, unknown>>(text: string, database?: string): Promise<Row[]>;
  /** Until a backend of this file's databases is as the condition on pg_stat_activity says. */
  waitFor(condition: string): Promise<void>;
}

/** The URL of this worker's server, as superuser; of another of its databases when named. */
export function testServer(database?: string): string {
  const url = new URL(place.mpmWorkerServer ?? '');
  if (database !== undefined) url.pathname = `/${encodeURIComponent(database)}`;
  return url.href;
}

/** Call once at the top of a test file. After its last test: no connection to its databases, no database of
 * its prefix that it did not make here, no child process and no warning of pg may be left. */
export function withDatabases(): TestDatabases {
  const prefix = `t${randomBytes(4).toString('hex')}_`;
  const made = new Map<string, TestDatabase>();
  let childrenBefore: string[] = [];
  const warnings: string[] = [];
  /** pg says so, once a process, when a connection is asked something before it has answered what was asked before. */
  const onWarning = ({ message }: Error): void => {
    if (message.includes('client.query()')) warnings.push(message);
  };
  let number = 0;

  const kept = keptClient();
  const query: TestDatabases['query'] = async <Row extends object>(text: string, database?: string) => {
    const use = async (client: pg.Client): Promise<Row[]> => (await client.query<Row>(text)).rows;
    return database === undefined && !OF_THE_SESSION.test(text)
      ? kept.with(use)
      : withClient(testServer(database), use);
  };
  const adopt = (name: string): TestDatabase => {
    const drop = async (): Promise<void> => {
      await query(`drop database if exists ${pg.escapeIdentifier(name)} with (force)`);
      made.delete(name);
    };
    const database = { name, url: testServer(name), drop };
    made.set(name, database);
    return database;
  };
  const create = async (label: string, template?: string): Promise<TestDatabase> => {
    number += 1;
    const name = `${prefix}${number}_${label}`.slice(0, 63);
    const from = template === undefined ? '' : ` template ${pg.escapeIdentifier(template)}`;
    // A copy of files: written through the log, it takes three times as long.
    await query(`create database ${pg.escapeIdentifier(name)}${from} strategy file_copy`);
    return adopt(name);
  };

  const waitFor = async (condition: string): Promise<void> => {
    for (let look = 0; look < 600; look += 1) {
      const [row] = await query(
        `select pid from pg_stat_activity where starts_with(datname, '${prefix}') and ${condition} limit 1`,
      );
      if (row) return;
      await sleep(20);
    }
    throw new Error(`no backend came to: ${condition}`);
  };

  beforeAll(async () => {
    process.on('warning', onWarning);
    childrenBefore = await children();
  });
  afterAll(async () => {
    process.off('warning', onWarning);
    const connections = await settled(() => openConnections(query, prefix));
    for (const { drop } of made.values()) await drop();
    const forgotten = await query<{ datname: string }>(
      `select datname from pg_database where starts_with(datname, '${prefix}')`,
    );
    for (const { datname } of forgotten) await adopt(datname).drop();
    const running = await settled(async () => {
      const now = await children();
      return now.filter((child) => !childrenBefore.includes(child));
    });
    const left = [
      ...connections.map((connection) => `a connection: ${connection}`),
      ...forgotten.map(({ datname }) => `the database ${datname}`),
      ...running.map((child) => `the process ${child}`),
      ...warnings.map((warning) => `the warning: ${warning}`),
    ];
    await kept.end();
    if (left.length > 0) throw new Error(`This test file left behind\n  ${left.join('\n  ')}`);
  });

  return {
    prefix,
    create: (label = 'db') => create(label),
    clone: (template, label = 'clone') => create(label, template),
    adopt,
    query,
    waitFor,
  };
}

/** What a migration waits for: {@link Gate}. */
export const GATE = 'select pg_advisory_xact_lock(4711);';

/** Keeps all who run {@link GATE} in a database waiting. */
export interface Gate {
  /** Waits until somebody waits. */
  reached(): Promise<void>;
  open(): Promise<void>;
}

/** Closes a database's gate. It must be opened, or the database cannot be dropped. */
export async function closeGate(database: string): Promise<Gate> {
  const client = new pg.Client({ connectionString: testServer(database), application_name: 'test-gate' });
  await client.connect();
  await client.query('select pg_advisory_lock(4711)');
  return {
    reached: async () => {
      for (;;) {
        const { rowCount } = await client.query(
          "select from pg_locks where locktype = 'advisory' and objid = 4711 and not granted and database = (select oid from pg_database where datname = current_database())",
        );
        if (rowCount) return;
        await sleep(20);
      }
    },
    open: () => client.end(),
  };
}

/** What would be left in a session for the next query. */
const OF_THE_SESSION = /\b(?:set|begin|temp|temporary|prepare|listen|load|pg_advisory_lock|set_config)\b/i;

/** A connection to the database `postgres`, kept for the next query; one more while it is busy. */
function keptClient(): { with<T>(use: (client: pg.Client) => Promise<T>): Promise<T>; end(): Promise<void> } {
  let kept: Promise<pg.Client> | undefined;
  let busy = false;
  const open = async (): Promise<pg.Client> => {
    const client = new pg.Client({ connectionString: testServer(), application_name: 'test-helper' });
    const forget = (): void => {
      kept = undefined;
    };
    client.on('error', forget);
    await client.connect().catch((error: unknown) => {
      forget();
      throw error;
    });
    return client;
  };
  return {
    with: async (use) => {
      if (busy) return withClient(testServer(), use);
      busy = true;
      try {
        return await use(await (kept ??= open()));
      } finally {
        busy = false;
      }
    },
    end: async () => (await kept)?.end(),
  };
}

async function withClient<T>(url: string, use: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = new pg.Client({ connectionString: url, application_name: 'test-helper' });
  client.on('error', () => {});
  await client.connect();
  try {
    return await use(client);
  } finally {
    await client.end();
  }
}

async function openConnections(query: TestDatabases['query'], prefix: string): Promise<string[]> {
  const rows = await query<{ line: string }>(
    `select concat_ws(', ', datname, nullif(application_name, ''), state, left(query, 200)) as line
     from pg_stat_activity
     where starts_with(datname, '${prefix}') and backend_type = 'client backend'
       and application_name <> 'test-helper'`,
  );
  return rows.map(({ line }) => line);
}

/** This process's children; of another platform than Linux and macOS, none. */
async function children(): Promise<string[]> {
  const { stdout } = await promisify(execFile)('ps', ['-A', '-o', 'pid=,ppid=,stat=,args=']).catch(() => ({
    stdout: '',
  }));
  return stdout
    .split('\n')
    .map((line) => /^\s*(\d+)\s+(\d+)\s+(\S+)\s+(.*)$/.exec(line) ?? [])
    .filter(([, , parent, state, args]) => parent === String(process.pid) && !state?.startsWith('Z') && args)
    .filter(([, , , , args]) => !args?.startsWith('ps -A ') && !isCliRunner(args ?? ''))
    .map(([, pid, , , args]) => `${pid} ${args}`);
}

/** What is still there after a moment: servers and processes take one to notice that they are done. */
async function settled(look: () => Promise<string[]>): Promise<string[]> {
  const deadline = Date.now() + 2000;
  for (;;) {
    const found = await look();
    if (found.length === 0 || Date.now() > deadline) return found;
    await sleep(50);
  }
}
