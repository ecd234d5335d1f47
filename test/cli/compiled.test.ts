import { chmod, chown, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { cli } from '../helpers/cli.ts';
import manifest from '../../package.json' with { type: 'json' };

let home: string;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'mpm-compiled-'));
});
afterEach(() => rm(home, { recursive: true, force: true }));

const folder = () => join(home, 'mpm-migrate', manifest.version, process.version);
const help = (env: Record<string, string> = {}) =>
  cli(['up', '--help'], { env: { XDG_CACHE_HOME: home, ...env } });

test('compiled code is kept for the next start, and is the same program', async () => {
  const first = await help();
  expect(first).toMatchObject({ code: 0, stderr: '' });
  const kept = await readdir(folder());
  expect(kept.length).toBeGreaterThan(0);
  expect(await help()).toEqual(first);
  expect(await readdir(folder())).toEqual(kept);
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

test('what is broken or of no file any more is made anew, or removed', async () => {
  const first = await help();
  const names = await readdir(folder());
  const [name = ''] = names;
  const whole = await readFile(join(folder(), name));
  await writeFile(join(folder(), name), whole.subarray(0, 40));
  await writeFile(join(folder(), 'of-an-older-build.js'), 'x');
  expect(await help()).toEqual(first);
  expect((await stat(join(folder(), name))).size).toBeGreaterThan(40);
  expect(await readdir(folder())).toEqual(names);
});

test.runIf(process.getuid?.() === 0)('what somebody else could have written is not run', async () => {
  await help();
  await chown(folder(), 12_345, 12_345);
  await chmod(folder(), 0o777);
  const names = await readdir(folder());
  for (const name of names) await writeFile(join(folder(), name), 'bad');
  expect(await help()).toMatchObject({ code: 0, stderr: '' });
  expect(await readFile(join(folder(), names[0] ?? ''), 'utf8')).toBe('bad');
});
