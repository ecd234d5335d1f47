import { chmod, chown, mkdir, mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises';
import module from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { cli } from '../helpers/cli.ts';

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'mpm-compiled-'));
});
afterEach(() => rm(home, { recursive: true, force: true }));

const folder = () => join(home, 'mpm-migrate');
const help = (env: Record<string, string> = {}) =>
  cli(['up', '--help'], { env: { XDG_CACHE_HOME: home, ...env } });
const keeps = 'enableCompileCache' in module;

test.runIf(keeps)(
  'compiled code is kept for the next start, in a folder that is the user’s alone',
  async () => {
    const first = await help();
    expect(first).toMatchObject({ code: 0, stderr: '' });
    expect((await readdir(folder(), { recursive: true })).length).toBeGreaterThan(1);
    expect((await stat(folder())).mode & 0o777).toBe(0o700);
    expect(await help()).toEqual(first);
  },
);

test.skipIf(keeps)('Node 20 keeps nothing', async () => {
  expect(await help()).toMatchObject({ code: 0, stderr: '' });
  expect(await readdir(home)).toEqual([]);
});

test('NODE_DISABLE_COMPILE_CACHE: nothing is written', async () => {
  expect(await help({ NODE_DISABLE_COMPILE_CACHE: '1' })).toMatchObject({ code: 0, stderr: '' });
  expect(await readdir(home)).toEqual([]);
});

test('a folder that cannot be made is done without', async () => {
  const file = join(home, 'file');
  await writeFile(file, '');
  expect(await help({ XDG_CACHE_HOME: join(file, 'cache') })).toMatchObject({ code: 0, stderr: '' });
});

test('a folder in which somebody else could have written is not used', async () => {
  await mkdir(folder(), { mode: 0o777 });
  await chmod(folder(), 0o777);
  expect(await help()).toMatchObject({ code: 0, stderr: '' });
  expect(await readdir(folder())).toEqual([]);
});

test.runIf(process.getuid?.() === 0)('nor one that is somebody else’s', async () => {
  await mkdir(folder(), { mode: 0o700 });
  await chown(folder(), 12_345, 12_345);
  expect(await help()).toMatchObject({ code: 0, stderr: '' });
  expect(await readdir(folder())).toEqual([]);
});
