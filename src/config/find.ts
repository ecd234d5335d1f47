import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

const NAME = 'mpm-migrate';

/** Where a configuration may be, in this order. */
export const PLACES = [
  ...['ts', 'mts', 'js', 'mjs', 'cjs', 'json', 'yaml', 'yml'].map(
    (extension) => `${NAME}.config.${extension}`,
  ),
  `.${NAME}rc`,
  ...['json', 'yaml', 'yml', 'ts', 'mts', 'js', 'mjs', 'cjs'].map((extension) => `.${NAME}rc.${extension}`),
  'package.json',
];

/**
 * Whether a search upwards to the project's root could find anything: reading a few folders is much less than
 * loading what searches and parses.
 */
export function mayHaveConfig(from: string): boolean {
  for (let folder = from; ; folder = dirname(folder)) {
    const files = new Set(filesOf(folder));
    if (PLACES.some((place) => place !== 'package.json' && files.has(place))) return true;
    const isRoot = files.has('package.json') || files.has('package.yaml');
    if (files.has('package.json') && mentionsUs(join(folder, 'package.json'))) return true;
    if (isRoot || dirname(folder) === folder) return false;
  }
}

/** As a key, or as a dependency: what reads the file decides. */
function mentionsUs(path: string): boolean {
  try {
    return readFileSync(path, 'utf8').includes(`"${NAME}"`);
  } catch {
    return false;
  }
}

function filesOf(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** A configuration that is in this very folder. */
export function existingConfig(folder: string): string | undefined {
  const files = new Set(filesOf(folder));
  const place = PLACES.find((each) => each !== 'package.json' && files.has(each));
  if (place !== undefined) return join(folder, place);
  return files.has('package.json') && hasKey(join(folder, 'package.json'))
    ? join(folder, 'package.json')
    : undefined;
}

function hasKey(path: string): boolean {
  try {
    const content: unknown = JSON.parse(readFileSync(path, 'utf8'));
    return typeof content === 'object' && content !== null && NAME in content;
  } catch {
    return false;
  }
}
