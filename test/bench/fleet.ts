import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import pg from 'pg';
import { type EmbeddedServer, startEmbedded } from '../../src/postgres/embedded/embedded.ts';
import { mpm, type Place, program } from './harness.ts';
import { writeFiles, writeHistory } from './history.ts';

/** A server of the bench's own, with a central database and a project folder. */
export interface BenchFleet extends Place {
  server: EmbeddedServer;
  cwd: string;
  env: Record<string, string>;
  /** Runs statements one after the other; the last one's rows. */
  query<R = Record<string, unknown>>(text: string, database?: string): Promise<R[]>;
  /** Makes that many copies of a database, called `<prefix>1` and so on. */
  clone(template: string, prefix: string, count: number): Promise<void>;
  stop(): Promise<void>;
}

/** As many tenants in work at once as connections of the floor. */
export const CONCURRENCY = 10;

const PGBENCH = '/usr/lib/postgresql/15/bin/pgbench';

/** @param bin the `bin/run.js` of another build, which then migrates this fleet */
export async function startFleet(bin?: string): Promise<BenchFleet> {
  const server = await startEmbedded({ fsync: true });
  const cwd = await mkdtemp(join(tmpdir(), 'mpm-bench-'));
  const env = { MPM_CENTRAL_URL: server.url, MPM_CONCURRENCY: String(CONCURRENCY) };
  const query = async <R>(text: string, database = 'postgres'): Promise<R[]> => {
    const client = new pg.Client(urlOf(server, database));
    await client.connect();
    try {
      const answer: unknown = await client.query(text);
      return ((Array.isArray(answer) ? answer.at(-1) : answer) as { rows: R[] }).rows;
    } finally {
      await client.end();
    }
  };
  const clone = async (template: string, prefix: string, count: number): Promise<void> => {
    const client = new pg.Client(server.url);
    await client.connect();
    try {
      for (let number = 1; number <= count; number++)
        await client.query(`create database ${prefix}${number} template ${template}`);
      // What would otherwise be written while the first measurements run.
      await client.query('checkpoint');
    } finally {
      await client.end();
    }
  };
  const stop = async (): Promise<void> => {
    await server.stop();
    await rm(cwd, { recursive: true, force: true });
  };
  const fleet = { server, cwd, env, bin, query, clone, stop };
  try {
    await writeFiles(join(cwd, 'migrations/core'), []);
    await mpm(['central', 'up'], fleet);
    return fleet;
  } catch (error) {
    await stop();
    throw error;
  }
}

export function urlOf(server: EmbeddedServer, database: string): string {
  const url = new URL(server.url);
  url.pathname = `/${database}`;
  return url.href;
}

/** Adds tenants whose databases are `<prefix>1` and so on. */
export async function addTenants(fleet: BenchFleet, prefix: string, count: number): Promise<void> {
  await fleet.query(`insert into companies (id, name) select n, '${prefix}' || n from generate_series(1, ${count}) n;
insert into company_databases (company_id, database_name) select n, '${prefix}' || n from generate_series(1, ${count}) n`);
}

/** A fleet whose tenants have the whole history applied. */
export async function startMigratedFleet(tenants: number, bin?: string): Promise<BenchFleet> {
  const fleet = await startFleet(bin);
  try {
    await writeFiles(join(fleet.cwd, 'migrations/core'), writeHistory());
    // Made without waiting for the disk; measured with it.
    await fleet.query('alter system set fsync = off');
    await fleet.query('select pg_reload_conf()');
    await fleet.query('create database template_tenant');
    await fleet.query(`insert into companies (id, name) values (1, 'template');
insert into company_databases (company_id, database_name) values (1, 'template_tenant')`);
    await mpm(['up', '--all'], fleet);
    await fleet.query('truncate companies, company_databases cascade');
    await fleet.clone('template_tenant', 't', tenants);
    await addTenants(fleet, 't', tenants);
    // A copy has no comment, and so no stamp: the first run writes it.
    await mpm(['up', '--all'], fleet);
    await fleet.query('alter system reset fsync');
    await fleet.query('select pg_reload_conf()');
    await fleet.query('checkpoint');
    return fleet;
  } catch (error) {
    await fleet.stop();
    throw error;
  }
}

/** `pgbench -C`: that many connections, one message in each; by default a trivial query. */
export async function pgbench(
  fleet: BenchFleet,
  connections: number,
  { sql = 'select 1', database = 'postgres' } = {},
): Promise<void> {
  const file = join(fleet.cwd, 'message.sql');
  await writeFile(file, `${sql.replaceAll(/;$/gm, '\\;')};\n`);
  const { host, port, url } = fleet.server;
  const each = Math.ceil(connections / CONCURRENCY);
  const how = ['-n', '-C', '-c', String(CONCURRENCY), '-j', '2', '-t', String(each), '-f', file];
  const where = ['-h', host, '-p', String(port), '-U', 'postgres', database];
  await program(PGBENCH, [...how, ...where], { env: { PGPASSWORD: new URL(url).password } });
}
