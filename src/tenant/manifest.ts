import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { MpmError } from '../errors.ts';

/** The file in a tenant's folder that says which of the files beside it `sync` wrote. */
export const MANIFEST = '.mpm-migrate.json';

/** A copy of a core file, as `sync` wrote it. */
export interface Copy {
  checksum: string;
  /** In bytes. */
  size: number;
  /** The plugin that it is from; absent for core. */
  plugin?: string;
}

export interface Manifest {
  version: 1;
  /** By file name. */
  copies: Readonly<Record<string, Copy>>;
}

const NONE: Manifest = { version: 1, copies: {} };

/** Manifests by their text: those of a fleet in step are all the same. */
const parsed = new Map<string, Manifest>();

/**
 * The manifest of a tenant's folder; without copies when there is none.
 * @throws MpmError TENANT_FOLDER when it cannot be read, for instance after a merge conflict
 */
export function readManifest(folder: string): Manifest {
  const path = join(folder, MANIFEST);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return NONE;
    throw unreadable(path, (error as Error).message, error);
  }
  const known = parsed.get(text);
  if (known) return known;
  const manifest = parseManifest(path, text);
  // A fleet out of step must not fill the memory.
  if (parsed.size >= 50) parsed.clear();
  parsed.set(text, manifest);
  return manifest;
}

/** One line a copy, in the order of names: what a person can merge. */
export function manifestText(copies: Readonly<Record<string, Copy>>): string {
  const lines = Object.keys(copies)
    .toSorted()
    .map((file) => `    ${JSON.stringify(file)}: ${JSON.stringify(copies[file])}`);
  return `{\n  "version": 1,\n  "copies": {${lines.length ? `\n${lines.join(',\n')}\n  ` : ''}}\n}\n`;
}

/**
 * The modification time that `sync` gives a copy, in seconds: made from the checksum, so that size and time tell
 * an untouched copy, while the manifest holds no times and is the same for everybody who has it in git.
 */
export function mtimeOf(checksum: string): number {
  return 1_000_000_000 + Number.parseInt(checksum.slice(3, 10), 16);
}

/** True when size and time say that the file is the copy that `sync` wrote; false says nothing. */
export function isUntouched(copy: Copy, stat: { size: number; mtimeMs: number }): boolean {
  return stat.size === copy.size && Math.floor(stat.mtimeMs / 1000) === mtimeOf(copy.checksum);
}

function parseManifest(path: string, text: string): Manifest {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw unreadable(
      path,
      /^(?:<<<<<<<|=======|>>>>>>>)/m.test(text) ? 'a merge conflict is in it' : 'it is no JSON',
      error,
    );
  }
  if (typeof value !== 'object' || value === null || !('version' in value) || !('copies' in value)) {
    throw unreadable(path, 'it has no version and copies');
  }
  if (value.version !== 1) throw unreadable(path, 'a newer mpm-migrate wrote it');
  const { copies } = value;
  if (typeof copies !== 'object' || copies === null || !Object.values(copies).every(isCopy)) {
    throw unreadable(path, 'its copies have no checksum and size');
  }
  return { version: 1, copies: copies as Manifest['copies'] };
}

function isCopy(value: unknown): value is Copy {
  if (typeof value !== 'object' || value === null || !('checksum' in value) || !('size' in value))
    return false;
  if (typeof value.checksum !== 'string' || !value.checksum.startsWith('v1:')) return false;
  if ('plugin' in value && typeof value.plugin !== 'string') return false;
  return typeof value.size === 'number';
}

function unreadable(path: string, why: string, cause?: unknown): MpmError {
  return new MpmError('TENANT_FOLDER', `${path} cannot be read: ${why}`, {
    subject: path,
    hint: 'Restore it from version control, or remove it and run mpm-migrate sync: equal files are taken for copies again.',
    cause,
  });
}
