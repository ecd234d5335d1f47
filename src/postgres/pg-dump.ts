import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { MpmError } from '../errors.ts';
import { redact } from '../secrets.ts';
import { type DatabaseTarget, libpqEnvironment } from './connect.ts';
import { identifier } from './quote.ts';

const run = promisify(execFile);

/** The program that writes a database as SQL. */
export interface DumpProgram {
  path: string;
  /** As it calls itself: `18.1`. */
  version: string;
}

/** What of a database is written. */
export interface DumpOptions {
  /** Also rights, which roles of the same names must have then. */
  privileges: boolean;
  /** Tables and sequences whose rows and values are left out. */
  withoutData: readonly TableName[];
  /** Tables that are left out as a whole. */
  without: readonly TableName[];
  /** Schemas that are left out as a whole. */
  withoutSchemas: readonly string[];
  /** What it runs in; where to connect is not from there. */
  env: NodeJS.ProcessEnv;
  signal?: AbortSignal | undefined;
}

export interface TableName {
  schema: string;
  name: string;
}

/**
 * Finds pg_dump.
 * @param server the server's major version, which it must have at least
 * @throws MpmError USAGE naming both versions where it is older, or that there is none
 */
export async function findDump(path: string, server: number): Promise<DumpProgram> {
  const said = await run(path, ['--version'], { timeout: 10_000 }).catch((error: unknown) => error as Error);
  const version = said instanceof Error ? undefined : /^pg_dump\D*(\d+(?:\.\d+|\w+)*)/.exec(said.stdout)?.[1];
  const hint = `Install the client programs of PostgreSQL ${server} or newer, and name it: --pg-dump /usr/lib/postgresql/${server}/bin/pg_dump`;
  if (version === undefined) {
    const why =
      said instanceof Error ? reasonOf(said, path) : `it says ${JSON.stringify(said.stdout.trim())}`;
    throw new MpmError('USAGE', `${path} can't be used as pg_dump: ${why}`, { subject: path, hint });
  }
  if (Number.parseInt(version, 10) >= server) return { path, version };
  throw new MpmError('USAGE', `${path} is pg_dump ${version}, and the server is PostgreSQL ${server}`, {
    subject: path,
    hint,
  });
}

function reasonOf(error: Error, path: string): string {
  if ('code' in error && error.code === 'ENOENT')
    return path.includes('/') ? 'there is no such file' : "it isn't on the PATH";
  return error.message.split('\n')[0] ?? '';
}

/** The largest dump that is taken: bytes. */
const MOST = 256 * 1024 * 1024;

/** What it writes of a database, as SQL. @throws MpmError PROVISION_FAILED with what it said */
export async function dump(
  { path, version }: DumpProgram,
  target: DatabaseTarget,
  { privileges, withoutData, without, withoutSchemas, env: own, signal }: DumpOptions,
): Promise<string> {
  const pattern = ({ schema, name }: TableName) => `${identifier(schema)}.${identifier(name)}`;
  const args = [
    '--no-password',
    '--no-owner',
    '--no-tablespaces',
    '--no-publications',
    '--no-subscriptions',
    '--no-blobs',
    '--rows-per-insert=100',
    ...(privileges ? [] : ['--no-privileges']),
    ...withoutSchemas.map((schema) => `--exclude-schema=${identifier(schema)}`),
    ...without.map((table) => `--exclude-table=${pattern(table)}`),
    ...withoutData.map((table) => `--exclude-table-data=${pattern(table)}`),
  ];
  // The password is in none of its arguments, which everybody on the machine can read.
  const env = { ...own, ...(await libpqEnvironment(target, Number.parseInt(version, 10))) };
  try {
    const { stdout } = await run(path, args, { env, maxBuffer: MOST, ...(signal && { signal }) });
    return stdout;
  } catch (error) {
    if (signal?.aborted) throw new MpmError('INTERRUPTED', 'pg_dump was ended', { cause: error });
    const { stderr = '', message } = error as Error & { stderr?: string };
    const said = redact(stderr.trim() || message.split('\n')[0] || '');
    throw new MpmError('PROVISION_FAILED', `pg_dump ${version} failed: ${said}`, {
      subject: target.database ?? path,
      hint: 'Fix what it reports, and then try again. The login must be able to read each table.',
    });
  }
}
