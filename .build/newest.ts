import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { glob } from 'tinyglobby';

export const root = join(import.meta.dirname, '..');

/** When a file was changed last, in ms; 0 where there is none. */
export async function changedAt(file: string): Promise<number> {
  return (await stat(join(root, file)).catch(() => undefined))?.mtimeMs ?? 0;
}

/** When the newest of these files was changed, in ms. */
export async function newest(patterns: string[]): Promise<number> {
  const files = await glob(patterns, { cwd: root, dot: true });
  return Math.max(...(await Promise.all(files.map(changedAt))));
}
