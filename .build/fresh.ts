/** Builds when `dist/` is missing or older than what it is made from. */
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { glob } from 'tinyglobby';

const root = join(import.meta.dirname, '..');
const changed = async (file: string): Promise<number> => (await stat(join(root, file))).mtimeMs;

const inputs = await glob(['package.json', 'src/**', '.build/*.ts'], { cwd: root, dot: true });
const newest = Math.max(...(await Promise.all(inputs.map(changed))));
const built = await changed('oclif.manifest.json').catch(() => 0);
if (newest >= built) await import('./build.ts');
