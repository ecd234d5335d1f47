import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { importModule } from '../../src/module.ts';

const project = await mkdtemp(join(tmpdir(), 'mpm-module-'));
afterAll(() => rm(project, { recursive: true }));

const SHARED = join(tmpdir(), 'jiti');
const sharedFiles = async (): Promise<string[]> => (existsSync(SHARED) ? readdir(SHARED) : []);

test('a configuration with a password leaves no copy of itself anywhere', async () => {
  const before = await sharedFiles();
  await mkdir(join(project, 'node_modules'), { recursive: true });
  const path = join(project, 'secret-config-4711.ts');
  await writeFile(path, "export default { url: 'postgres://u:hunter2@h/d' as string };");
  expect(await importModule(path, { code: 'CONFIG_UNREADABLE' })).toMatchObject({
    default: { url: expect.any(String) },
  });
  expect((await sharedFiles()).filter((file) => !before.includes(file) && file.includes('4711'))).toEqual([]);
  expect(await readdir(join(project, 'node_modules'))).toEqual([]);
});

test('a migration is kept translated in the project, not in the folder that all users share', async () => {
  const path = join(project, '1_kept-4712.ts');
  await writeFile(path, 'export async function up(db: unknown): Promise<void> {}');
  await importModule(path, { code: 'MIGRATION_INVALID', keep: true });
  const kept = await readdir(join(project, 'node_modules/.cache/mpm-migrate'));
  expect(kept.some((file) => file.includes('4712'))).toBe(true);
  expect((await sharedFiles()).filter((file) => file.includes('4712'))).toEqual([]);
});
