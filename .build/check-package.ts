/** Checks the packed package with publint and attw, when it has changed since they found it good. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { changedAt, newest, root } from './newest.ts';

const STAMP = 'node_modules/.cache/mpm-migrate-package';
// `require` reaches the ES module by design: every Node that is supported can do it.
const BY_DESIGN = ['false-cjs', 'cjs-resolves-to-esm'];

const inputs = await newest([
  'package.json',
  'package-lock.json',
  'src/**',
  '.build/*.ts',
  'bin/*',
  'templates/**',
]);
if (inputs >= (await changedAt(STAMP))) {
  const run = (command: string, ...args: string[]): Buffer =>
    execFileSync(command, args, { cwd: root, stdio: 'inherit' });
  run('npm', 'run', '--silent', 'prepack');
  run('publint', '--strict');
  run('attw', '--pack', '.', '--profile', 'node16', '--ignore-rules', ...BY_DESIGN);
  mkdirSync(dirname(join(root, STAMP)), { recursive: true });
  writeFileSync(join(root, STAMP), '');
}
