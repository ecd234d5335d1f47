import { expect, test } from 'vitest';
import { cli as inRunner } from '../helpers/cli.ts';
import manifest from '../../package.json' with { type: 'json' };

const cli: typeof inRunner = (args, options) => inRunner(args, { ...options, alone: true });
const userAgent = `mpm-migrate/${manifest.version} ${process.platform}-${process.arch} node-${process.version}`;

test.each(['--version', '-v'])('%s names the version, the platform and Node', async (flag) => {
  const { code, stdout, stderr } = await cli([flag]);
  expect({ code, stdout, stderr }).toEqual({ code: 0, stdout: `${userAgent}\n`, stderr: '' });
});

test.each([[['--help']], [['-h']], [[]]])(
  '%j shows what it can do, without colour off a terminal',
  async (args) => {
    const { code, stdout, stderr } = await cli(args);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^USAGE$/m);
  },
);

test('the help that is written at build time is what oclif would say', async () => {
  const [written, fresh] = await Promise.all([cli(['--help']), cli(['help', '--help'])]);
  expect(fresh).toEqual(written);
});

test('a mistyped command is a usage error that names the nearest one', async () => {
  const { code, stdout, stderr } = await cli(['craete', 'add_meters']);
  expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
  expect(stderr).toBe('✖ Unknown command: craete add_meters\n    Did you mean mpm-migrate create?\n');
});

test('a word that is like no command points at the list', async () => {
  const { code, stderr } = await cli(['xyzzy']);
  expect(code).toBe(2);
  expect(stderr).toBe('✖ Unknown command: xyzzy\n    mpm-migrate --help\n');
});

test('NODE_ENV of the user does not make it look for TypeScript sources', async () => {
  const { code, stderr } = await cli(['--help'], { env: { NODE_ENV: 'development' } });
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
});
