import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { execute, settings } from '@oclif/core';
import type { Interfaces } from '@oclif/core';
import { watchStreams } from './streams.ts';

/**
 * Runs one command of the built package.
 * @param argv what was typed after the program's name
 * @param root the package's folder
 */
export async function run(argv: string[], root: string): Promise<void> {
  // Given the manifest's own package.json, oclif neither searches for a root nor looks for plug-ins; and it
  // must not look for TypeScript sources when the user's NODE_ENV is "test" or "development".
  const pjson = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Interfaces.PJSON;
  settings.enableAutoTranspile = false;
  watchStreams(argv);
  await execute({
    args: argv[0] === 'help' ? [...argv.slice(1), '--help'] : argv,
    loadOptions: { root, pjson, userPlugins: false, devPlugins: false },
  });
}
