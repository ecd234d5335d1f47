import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { execFile } from 'node:child_process';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { startCli } from '../helpers/cli.ts';
import { memoryFolder } from '../helpers/server.ts';
import { connect } from '../../src/postgres/connect.ts';

const run = promisify(execFile);
/** Far above what it takes, for a busy machine. */
const LIMIT = 150_000;

let tmp: string;
// Everything that the demo makes lies below TMPDIR, so what it leaves behind can be seen.
beforeEach(async () => {
  tmp = await mkdtemp(join(memoryFolder() ?? tmpdir(), 'mpm-demo-test-'));
  await run('chmod', ['755', tmp]);
});
afterEach(() => rm(tmp, { recursive: true, force: true }));

describe('issue 2.10: demo', { timeout: 2 * LIMIT }, () => {
  test('shows the whole job, one failing company and its cure, and removes everything', async () => {
    // A fleet of the user's own, which the demo must not look at.
    const env = { TMPDIR: tmp, MPM_CENTRAL_URL: 'postgres://nobody@127.0.0.1:1/theirs', PGHOST: '127.0.0.1' };
    const { result } = await startCli(['demo'], { env, timeout: LIMIT });
    const { code, stdout, stderr } = await result;
    expect({ code, stderr: code === 0 ? '' : stderr }).toEqual({ code: 0, stderr: '' });
    const typed = [...stdout.matchAll(/^\$ (.*)$/gm)].map((match) => match[1] ?? '');
    expect(typed.filter((line) => !line.includes('tenant create'))).toEqual([
      'mpm-migrate central up',
      'mpm-migrate create add_meter_status --sql',
      'mpm-migrate sync',
      'mpm-migrate up --all',
      'mpm-migrate status',
      'mpm-migrate up --failed',
      'mpm-migrate status',
    ]);
    expect(typed.filter((line) => line.includes('tenant create'))).toHaveLength(8);
    expect(stdout).toContain('column "status" of relation "meters" already exists');
    expect(stdout).toContain('(exit code 3)');
    expect(stdout).toMatch(/7 migrated/);
    expect(stdout).toMatch(/1 migrated/);
    expect(await readdir(tmp)).toEqual([]);
  });

  for (const signal of ['SIGINT', 'SIGTERM', 'SIGKILL'] as const) {
    test(`removes everything after ${signal}`, async () => {
      const { child, result } = await startCli(['demo'], { env: { TMPDIR: tmp }, timeout: LIMIT });
      await untilSaid(child.stdout, 'Eight tenants');
      child.kill(signal);
      const ended = await result;
      expect(signal === 'SIGKILL' ? ended.signal : ended.code).toBe(signal === 'SIGKILL' ? 'SIGKILL' : 130);
      await expect.poll(() => readdir(tmp), { timeout: 20_000 }).toEqual([]);
    });
  }

  test('--keep leaves it running, and says how to reach and how to remove it', async () => {
    const { result } = await startCli(['demo', '--keep'], { env: { TMPDIR: tmp }, timeout: LIMIT });
    const { code, stdout } = await result;
    expect(code).toBe(0);
    const [, folder = ''] = /^ {2}cd (.*)$/m.exec(stdout) ?? [];
    const [, remove = ''] = /^ {2}(kill -INT .*)$/m.exec(stdout) ?? [];
    const [, port = '', database = ''] =
      /psql -h 127\.0\.0\.1 -p (\d+) -U postgres (\S+)$/m.exec(stdout) ?? [];
    try {
      const entry = await passwordIn(join(folder, '.pgpass'));
      expect(stdout).not.toContain(entry);
      const url = `postgres://postgres:${entry}@127.0.0.1:${port}`;
      const connection = await connect({ url, database, applicationName: 'test', connectTimeout: 5000 });
      const [row] = await connection.query<{ applied: string }>(
        'select count(*) as applied from mpm_migrate.history',
      );
      await connection.close();
      expect(Number(row?.applied)).toBe(32);
    } finally {
      await run('/bin/sh', ['-c', remove]);
    }
    expect(existsSync(folder)).toBe(false);
    await expect.poll(() => readdir(tmp), { timeout: 20_000 }).toEqual([]);
  });
});

async function passwordIn(file: string): Promise<string> {
  return (await readFile(file, 'utf8')).trim().split(':').at(-1) ?? '';
}

async function untilSaid(stream: NodeJS.ReadableStream, words: string): Promise<void> {
  for (let said = ''; !said.includes(words);) said += String((await once(stream, 'data'))[0]);
}
