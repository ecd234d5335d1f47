import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cli } from '../helpers/cli.ts';
import { testServer, withDatabases } from '../helpers/database.ts';

const databases = withDatabases();
const unreachable = 'postgres://app:s3cret@127.0.0.1:1/nowhere';

test.each([
  [['up'], 'No tenants selected'],
  [['up', '--all', '--force'], '--force requires --tenant'],
  [['up', '--forse'], 'Unknown flag: --forse'],
  [['up', '--all', 'extra'], 'Unexpected argument: extra'],
  [['up', '--all', '--concurrency', 'many'], '--concurrency many: must be a whole number, 1 or more'],
  [['run', 'show', 'x'], 'Expected an integer but received: x'],
])('usage: %j ends with 2, says why and what to type, and prints no report', async (args, message) => {
  const { code, stdout, stderr } = await cli(args);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  const [first, next] = stderr.split('\n');
  expect(first).toBe(`✖ ${message}`);
  expect(next).toMatch(/^ {4}\S/);
});

test('a mistake under --json is one document on stdout, and nothing else anywhere', async () => {
  const { code, stdout, stderr } = await cli(['up', '--json', '--forse']);
  expect({ code, stderr }).toEqual({ code: 2, stderr: '' });
  expect(JSON.parse(stdout)).toEqual({
    error: { code: 'USAGE', message: 'Unknown flag: --forse', hint: 'Did you mean --force?' },
  });
});

test('no configuration: said so, with what to do', async () => {
  const { code, stdout, stderr } = await cli(['up', '--all']);
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
  expect(stderr).toMatch(/^✖ No configuration found in .+\n {4}.*mpm-migrate init/);
});

test.each([[['up', '--all']], [['up', '--all', '--json']]])('passwords appear nowhere: %j', async (args) => {
  const cwd = await mkdtemp(join(tmpdir(), 'mpm-out-'));
  await mkdir(join(cwd, 'migrations/core'), { recursive: true });
  const { code, stdout, stderr } = await cli(args, { cwd, env: { MPM_CENTRAL_URL: unreachable } });
  await rm(cwd, { recursive: true });
  expect(code).toBe(1);
  expect(stdout + stderr).toContain('127.0.0.1');
  expect(stdout + stderr).not.toContain('s3cret');
});

describe('a fleet of three', () => {
  let cwd = '';
  let env: Record<string, string> = {};

  const mustRun = async (args: string[]) => {
    const { code, stderr } = await cli(args, { cwd, env });
    if (code !== 0) throw new Error(stderr);
  };

  beforeAll(async () => {
    cwd = await mkdtemp(join(tmpdir(), 'mpm-out-'));
    env = { MPM_CENTRAL_URL: testServer(databases.adopt(`${databases.prefix}central`).name) };
    const core = join(cwd, 'migrations/core');
    await mkdir(core, { recursive: true });
    await writeFile(join(core, '1_meters.sql'), '-- migrate:up\ncreate table meters (id int);\n');
    await mustRun(['central', 'up']);
    for (const name of ['abuja', 'goma', 'lome']) {
      const { name: database } = databases.adopt(`${databases.prefix}${name}`);
      await mustRun(['tenant', 'create', name, '--database', database]);
    }
    await databases.query('alter table meters add column status text', `${databases.prefix}goma`);
    const chatty = `export async function up(db) { console.log('from a migration'); process.stdout.write('half'); }`;
    await writeFile(join(core, '2_chatty.mjs'), chatty);
    const failing = '-- migrate:up\nalter table meters\n  add column status text;\n';
    await writeFile(join(core, '3_status.sql'), failing);
  });

  afterAll(() => rm(cwd, { recursive: true, force: true }));

  test('--json: one document on stdout, whatever migrations print; progress on stderr; exit 3', async () => {
    const { code, stdout, stderr } = await cli(['up', '--all', '--json'], { cwd, env });
    expect(code).toBe(3);
    expect(JSON.parse(stdout)).toMatchObject({ counts: { total: 3, migrated: 2, failed: 1 }, run: 1 });
    expect(stderr).toContain('Migrating 3 tenants (--all, run 1)\n');
    expect(stderr).toContain('from a migration\n');
    expect(stderr).not.toContain('\u001b');
  });

  test('text: the report on stdout, the most important line last', async () => {
    const { code, stdout } = await cli(['up', '--failed', '--quiet'], { cwd, env });
    expect(code).toBe(3);
    const text = stdout.replace(/in \d+\.\ds/, 'in 0.0s');
    expect(text).toBe(`✖ goma    3_status
    column "status" of relation "meters" already exists  (42701)
    migrations/core/3_status.sql:2:1
      1 │ -- migrate:up
    ▸ 2 │ alter table meters
        │ ^
      3 │   add column status text;
    Still at 2_chatty: the migration was rolled back.
    Look:  mpm-migrate status --tenant 2

✖ 1 failed   1 tenant in 0.0s   run 2
Retry:  mpm-migrate up --failed=2
`);
  });

  test('--quiet prints no progress', async () => {
    const { stderr } = await cli(['up', '--all', '--quiet'], { cwd, env });
    expect(stderr).toBe('');
  });

  test('GitHub Actions: an annotation per group on stderr, a table in the step summary', async () => {
    const summary = join(cwd, 'summary.md');
    const github = { ...env, GITHUB_ACTIONS: 'true', GITHUB_STEP_SUMMARY: summary };
    const { stdout, stderr } = await cli(['up', '--all'], { cwd, env: github });
    expect(stderr.match(/^::error .*$/gm)).toEqual([
      '::error file=migrations/core/3_status.sql,line=2,col=1,title=goma%3A 3_status' +
        '::column "status" of relation "meters" already exists',
    ]);
    expect(stdout).not.toContain('::error');
    expect(await readFile(summary, 'utf8')).toContain('| goma | 3\\_status | column "status"');
  });

  test('a closed pipe ends quietly', async () => {
    const bin = join(import.meta.dirname, '../../bin/run.js');
    const script = `"${process.execPath}" "${bin}" status --json | head -1`;
    const options = { cwd, env: { PATH: process.env['PATH'], ...env } };
    const { stdout, stderr } = await promisify(execFile)('sh', ['-c', script], options);
    expect(stdout).toBe('{\n');
    expect(stderr).toBe('Checking 3 tenants (--all)\n');
  });

  test.skipIf(!existsSync('/dev/full')).each([
    ['status > /dev/full', 'stderr'],
    ['status --json > /dev/full', 'stderr'],
    ['up --all --events - > /dev/full', 'stderr'],
    [`exec --all --sql 'select 1' > /dev/full`, 'stderr'],
    ['up --help > /dev/full', 'stderr'],
    ['--help > /dev/full', 'stderr'],
    ['status 2> /dev/full', 'stdout'],
    ['status --json 2> /dev/full', undefined],
  ] as const)('fleet 48: %s is one line on the other stream, and no success', async (typed, told) => {
    const bin = join(import.meta.dirname, '../../bin/run.js');
    const options = { cwd, env: { PATH: process.env['PATH'], ...env } };
    const ended = await promisify(execFile)(
      'sh',
      ['-c', `"${process.execPath}" "${bin}" ${typed}`],
      options,
    ).catch((error: unknown) => error as { code: number; stdout: string; stderr: string });
    expect(ended).toMatchObject({ code: expect.any(Number) as number });
    expect(`${ended.stdout}${ended.stderr}`).not.toContain('    at ');
    const line = /^✖ Standard (output|error) cannot be written: .*$/gm;
    expect(ended.stdout.match(line)?.length ?? 0).toBe(told === 'stdout' ? 1 : 0);
    expect(ended.stderr.match(line)?.length ?? 0).toBe(told === 'stderr' ? 1 : 0);
  });
});
