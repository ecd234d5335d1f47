import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { expect, test } from 'vitest';

const library = pathToFileURL(join(import.meta.dirname, '../../dist/lib/index.js')).href;

test('fleet 27: an error of the library that nobody catches shows itself, and no bundle', () => {
  const program = `const { openFleet } = await import(${JSON.stringify(library)});\nawait openFleet({ central: {} });`;
  const { status, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', program], {
    encoding: 'utf8',
  });
  expect(status).toBe(1);
  expect(stderr).toContain("code: 'CONFIG_INVALID'");
  expect(stderr).toContain('hint: ');
  expect(stderr.length).toBeLessThan(4000);
  expect(Math.max(...stderr.split('\n').map((line) => line.length))).toBeLessThan(400);
});
