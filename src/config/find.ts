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

/** A configuration file that counts, and one further up that does not. */
export interface FoundConfig {
  file?: string;
  leftOut?: string;
}

/** What is at the top of a repository, or of a workspace. */
const TOPS = ['.git', 'pnpm-workspace.yaml', 'lerna.json', 'nx.json', 'rush.json'];

/**
 * Searches upwards to the top of the repository or of the workspace, past the packages in it; where there is none, to the
 * nearest package (fleet 47). Reading a few folders is much less than loading what parses a file.
 */
export function findConfig(from: string): FoundConfig {
  const folders = upwards(from);
  const index = (isTop: (folder: string) => boolean) => folders.findIndex(isTop);
  const tops = [index(isWorkspace), index(hasTop)].filter((at) => at >= 0);
  const packaged = index((folder) => filesOf(folder).some((file) => /^package\.(json|yaml)$/.test(file)));
  const last = tops.length ? Math.max(...tops) : packaged < 0 ? folders.length - 1 : packaged;
  const found = folders.flatMap((folder, at) => {
    const file = existingConfig(folder);
    return file === undefined ? [] : [{ file, at }];
  });
  const [first, second] = found;
  if (!first) return {};
  if (first.at > last) return { leftOut: first.file };
  return { file: first.file, ...(second && { leftOut: second.file }) };
}

function upwards(from: string): string[] {
  const folders = [from];
  for (let folder = dirname(from); folder !== folders.at(-1); folder = dirname(folder)) folders.push(folder);
  return folders;
}

function hasTop(folder: string): boolean {
  return filesOf(folder).some((file) => TOPS.includes(file));
}

function isWorkspace(folder: string): boolean {
  return 'workspaces' in contentOf(join(folder, 'package.json'));
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
  const own = join(folder, 'package.json');
  return files.has('package.json') && NAME in contentOf(own) ? own : undefined;
}

/** Empty where there is no such file, or it cannot be read: then it is not what is asked for. */
function contentOf(path: string): object {
  try {
    const content: unknown = JSON.parse(readFileSync(path, 'utf8'));
    return typeof content === 'object' && content !== null ? content : {};
  } catch {
    return {};
  }
}
