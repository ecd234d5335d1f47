import { join } from 'node:path';
import { type Command, Config } from '@oclif/core';
import { expect, test } from 'vitest';
import FleetHelp from '../../src/cli/help.ts';
import { cli } from '../helpers/cli.ts';

/** Commands with many flags of their own, and the lines that their help may take. */
const TALL: Record<string, number> = {
  up: 39,
  repair: 32,
  baseline: 30,
  exec: 28,
  plan: 30,
  'tenant adopt': 31,
  'tenant create': 28,
  'tenant move': 28,
};

/** Keeps what it is told to print. */
class KeptHelp extends FleetHelp {
  text = '';

  override log(...lines: string[]): void {
    this.text += `${lines.join('\n')}\n`;
  }
}

async function helpOf(config: Config, words: string[]): Promise<string[]> {
  const help = new KeptHelp(config);
  await help.showHelp(words);
  return help.text.trimEnd().split('\n');
}

test('the help of each command and topic fits one screen, 80 columns wide', async () => {
  const config = await Config.load(join(import.meta.dirname, '../..'));
  const ids = [
    ...config.commands.map(({ id }: Command.Loadable) => id),
    ...config.topics.map(({ name }) => name),
  ];
  expect(ids.length).toBeGreaterThan(35);
  for (const id of ids) {
    const words = id.replaceAll(':', ' ');
    const lines = await helpOf(config, words.split(' '));
    expect.soft(lines.length, words).toBeLessThanOrEqual(TALL[words] ?? 26);
    expect
      .soft(
        lines.filter((line) => line.length > 80),
        words,
      )
      .toEqual([]);
    expect.soft(lines.join('\n'), words).not.toMatch(/^(EXIT CODES|ENVIRONMENT)$/m);
    expect.soft(lines[0], words).toMatch(/^[A-Z]/);
  }
});

test('the help lists commands and topics, and explains exit codes, environment and shared flags', async () => {
  const root = (await cli(['help'])).stdout;
  expect(root.split('\n').filter((line) => line.length > 80)).toEqual([]);
  expect(root).toMatch(/^ {2}tenant +Create, list, hold/m);
  const { stdout } = await cli(['help', 'environment']);
  expect(stdout).toMatch(
    /^EXIT CODES\n {2}0 {4}done, or nothing to do \(also: the fleet has no tenants\)\n/m,
  );
  expect(stdout).toMatch(/^ENVIRONMENT\n {2}MPM_CENTRAL_URL /m);
  const flags = (await cli(['help', 'flags'])).stdout;
  expect(flags.match(/^[A-Z]+ FLAGS$/gm)).toEqual([
    'SELECTION FLAGS',
    'PACE FLAGS',
    'OUTPUT FLAGS',
    'GLOBAL FLAGS',
  ]);
  expect((await cli(['help', 'up'])).stdout).toContain('SHARED FLAGS (mpm-migrate help flags)');
});
