import { execFile } from 'node:child_process';
import { access, realpath } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** The folder of a PostgreSQL server of the same major version as `psql` and `pg_dump` on the PATH. */
export async function serverPrograms(): Promise<string> {
  const major = /(\d+)/.exec((await run('psql', ['--version'])).stdout)?.[1] ?? '';
  const psql = (await run('/bin/sh', ['-c', 'command -v psql'])).stdout.trim();
  const candidates = [
    dirname(await realpath(psql)),
    `/usr/lib/postgresql/${major}/bin`,
    `/usr/pgsql-${major}/bin`,
    `/opt/homebrew/opt/postgresql@${major}/bin`,
  ];
  for (const folder of candidates) {
    const version = await run(join(folder, 'postgres'), ['--version']).catch(() => undefined);
    const initdb = await access(join(folder, 'initdb')).then(
      () => true,
      () => false,
    );
    if (initdb && version?.stdout.includes(` ${major}.`)) return folder;
  }
  throw new Error(
    `psql is of PostgreSQL ${major}, and there is no server of that version in ${candidates.join(', ')}.`,
  );
}
