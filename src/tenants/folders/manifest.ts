import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MpmError } from '../../errors.ts';

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

/** The tenant whose folder it is (fleet 39). */
export interface Owner {
  id: string;
  server: string;
  database: string;
}

export interface Manifest {
  version: 1;
  /** Absent where 0.1.0 wrote it, or nobody. */
  tenant?: Owner;
  /** By file name. */
  copies: Readonly<Record<string, Copy>>;
}

const NONE: Manifest = { version: 1, copies: {} };

/** Manifests by their text without the owner's line: those of a fleet in step are all the same. */
const parsed = new Map<string, Manifest>();
const OWNER_LINE = /^ {2}"tenant": (\{.*\}),\n/m;

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
  const owner = OWNER_LINE.exec(text)?.[1];
  const rest = text.replace(OWNER_LINE, '');
  const known = parsed.get(rest);
  const manifest = known ?? parseManifest(path, rest);
  if (!known) {
    // A fleet out of step must not fill the memory.
    if (parsed.size >= 50) parsed.clear();
    parsed.set(rest, manifest);
  }
  return owner === undefined ? manifest : { ...manifest, tenant: ownerOf(path, parseJson(path, owner)) };
}

/** One line a copy, in the order of names: what a person can merge. */
function manifestText({ tenant, copies }: Omit<Manifest, 'version'>): string {
  const lines = Object.keys(copies)
    .toSorted()
    .map((file) => `    ${JSON.stringify(file)}: ${JSON.stringify(copies[file])}`);
  const owner = tenant ? `  "tenant": ${JSON.stringify(tenant)},\n` : '';
  return `{\n  "version": 1,\n${owner}  "copies": {${lines.length ? `\n${lines.join(',\n')}\n  ` : ''}}\n}\n`;
}

/** Beside its place, and renamed: a kill leaves none by halves. Throws what node:fs throws. */
export function writeManifest(folder: string, manifest: Omit<Manifest, 'version'>): void {
  const temporary = join(folder, temporaryName());
  writeFileSync(temporary, manifestText(manifest));
  renameSync(temporary, join(folder, MANIFEST));
}

let count = 0;

/** Dotted, and of this process: what a killed one left is known by it. */
export function temporaryName(): string {
  return `.mpm-migrate-${process.pid}-${(count += 1)}.tmp`;
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

function parseJson(path: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw unreadable(
      path,
      /^(?:<<<<<<<|=======|>>>>>>>)/m.test(text) ? 'a merge conflict is in it' : "it isn't JSON",
      error,
    );
  }
}

function parseManifest(path: string, text: string): Manifest {
  const value = parseJson(path, text);
  if (typeof value !== 'object' || value === null || !('version' in value) || !('copies' in value)) {
    throw unreadable(path, 'it has no version and copies');
  }
  if (value.version !== 1) throw unreadable(path, 'a newer mpm-migrate wrote it');
  const { copies } = value;
  if (typeof copies !== 'object' || copies === null || !Object.values(copies).every(isCopy)) {
    throw unreadable(path, 'its copies have no checksum and size');
  }
  // Somebody laid it out in another way.
  const owner = 'tenant' in value ? { tenant: ownerOf(path, value.tenant) } : {};
  return { version: 1, ...owner, copies: copies as Manifest['copies'] };
}

function ownerOf(path: string, value: unknown): Owner {
  if (
    typeof value === 'object' &&
    value !== null &&
    'id' in value &&
    'server' in value &&
    'database' in value
  ) {
    const { id, server, database } = value;
    if (typeof id === 'string' && typeof server === 'string' && typeof database === 'string')
      return { id, server, database };
  }
  throw unreadable(path, 'its tenant has no id, server and database');
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
    hint: 'Restore it from version control, or remove it and run mpm-migrate sync --claim: equal files become copies again.',
    cause,
  });
}
