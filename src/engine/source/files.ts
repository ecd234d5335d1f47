import { isUtf8 } from 'node:buffer';
import { type Dirent, readdirSync, statSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { MpmError } from '../../errors.ts';
import { shellWord } from '../../shell-word.ts';
import { withoutBom } from './checksum.ts';

/** What a folder holds that is no file to be read, and what it is. */
export interface PassedBy {
  /** Relative to the folder, with `/`; a folder's ends with one. */
  path: string;
  what: string;
  /** It belongs there: nobody takes it for a migration. */
  known: boolean;
}

/** Two levels of a folder. */
export interface FolderContent {
  /** Files, relative to the folder and with `/`; a folder in which there is no file ends with one. */
  paths: string[];
  passedBy: PassedBy[];
  problems: MpmError[];
}

/** Folders that no migration is searched in. */
const NOT_ENTERED: Readonly<Record<string, string>> = {
  node_modules: 'packages',
  __pycache__: 'compiled Python',
};

/**
 * Lists a folder and the folders in it. A link to a file is a file; one to a folder isn't followed, so that none leads
 * out of the folder, or in a circle.
 * @throws MpmError FOLDER_MISSING, FILE_SYSTEM
 */
export function readFolder(folder: string): FolderContent {
  const content: FolderContent = { paths: [], passedBy: [], problems: [] };
  for (const entry of entriesOf(folder)) {
    if (!entry.isDirectory()) {
      take(content, folder, entry.name, entry);
      continue;
    }
    const { name } = entry;
    const known = name.startsWith('.') ? 'hidden' : NOT_ENTERED[name];
    if (known !== undefined) content.passedBy.push({ path: `${name}/`, what: known, known: true });
    else readInner(content, folder, name);
  }
  return content;
}

function readInner(content: FolderContent, folder: string, name: string): void {
  const before = content.paths.length;
  let entries: Dirent[];
  try {
    entries = entriesOf(join(folder, name));
  } catch (error) {
    // A volume's lost+found is nobody's migration.
    if (/^\d/.test(name)) throw error;
    content.passedBy.push({ path: `${name}/`, what: 'a folder that cannot be read', known: false });
    return;
  }
  // Folders that are a migration may be called anything.
  if (MIGRATION.test(name) && !entries.some((entry) => /^(?:migration|up)\.sql$/.test(entry.name))) {
    content.problems.push(unusable(join(folder, name), name, 'is a folder, not a file'));
    return;
  }
  for (const entry of entries) {
    const path = `${name}/${entry.name}`;
    if (entry.isDirectory()) content.paths.push(`${path}/`);
    else take(content, folder, path, entry);
  }
  if (content.paths.length === before) content.paths.push(`${name}/`);
}

function take({ paths, passedBy, problems }: FolderContent, folder: string, path: string, entry: Dirent) {
  const { name } = entry;
  const kind = entry.isFile() ? 'file' : kindOf(join(folder, path));
  if (kind === 'file') paths.push(path);
  else if (/^\d/.test(name) || isMigrationFile(name)) problems.push(unusable(join(folder, path), path, kind));
  else passedBy.push({ path, what: kind.replace(/^(?:is|isn't) /, ''), known: name.startsWith('.') });
}

function entriesOf(folder: string): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch (error) {
    throw folderError(folder, error);
  }
}

/** What a name leads to that isn't simply a file's: `file`, or what to say of it. */
function kindOf(path: string): string {
  try {
    const stat = statSync(path);
    if (stat.isFile()) return 'file';
    return stat.isDirectory() ? 'is a link to a folder' : "isn't an ordinary file";
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? '';
    return ['ENOENT', 'ELOOP', 'ENOTDIR'].includes(code)
      ? 'is a broken link'
      : `cannot be looked at: ${(error as Error).message}`;
  }
}

function unusable(subject: string, path: string, what: string): MpmError {
  const instead = what.includes('link to a folder') ? 'the folder itself' : 'the file';
  return new MpmError('MIGRATION_INVALID', `${path} ${what}`, {
    subject,
    hint: `put ${instead} there, remove it, or move it away: what is named like a migration isn't ignored`,
  });
}

const DECLARATION = /\.d\.[mc]?ts$/;
const MIGRATION = /\.(?:sql|[mc]?[tj]s)$/i;

/** What to call a file in a message: with its folder where its own name tells nothing, as in `1_a/migration.sql`. */
export function fileLabel(path: string): string {
  const file = basename(path);
  const folder = basename(dirname(path));
  return /^(?:migration|up|down)\.\w+$/.test(file) || /^\d+$/.test(folder) ? `${folder}/${file}` : file;
}

/** Whether a file could be a migration, by its extension. */
export function isMigrationFile(file: string): boolean {
  return MIGRATION.test(file) && !DECLARATION.test(file) && !file.startsWith('.');
}

function folderError(folder: string, error: unknown): MpmError {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'ENOENT') {
    return new MpmError('FOLDER_MISSING', `There is no folder ${folder}`, {
      subject: folder,
      hint: 'mpm-migrate init creates the folders; mpm-migrate create <name> creates a first migration.',
      cause: error,
    });
  }
  const message =
    code === 'ENOTDIR'
      ? `${folder} is not a folder`
      : `${folder} cannot be read: ${(error as Error).message}`;
  return new MpmError('FILE_SYSTEM', message, {
    subject: folder,
    hint: 'Check the path and its permissions.',
    cause: error,
  });
}

/**
 * The text of a file, which must be UTF-8: what is read as something else is another text, and is written as such.
 * @param path of the file; absent: it was read from stdin
 * @throws MpmError with the code that is given
 */
export function utf8Of(
  content: Uint8Array,
  path: string | undefined,
  { name, code }: { name: string; code: 'MIGRATION_INVALID' | 'USAGE' },
): string {
  const utf16 = utf16Of(content);
  if (!utf16 && isUtf8(content)) {
    const { buffer, byteOffset, byteLength } = withoutBom(content);
    // The same bytes: a big file is not copied.
    return Buffer.from(buffer, byteOffset, byteLength).toString('utf8');
  }
  const command = `iconv -f ${utf16 ?? 'LATIN1'} -t UTF-8`;
  throw new MpmError(code, `${name} is not UTF-8`, {
    subject: path ?? name,
    hint:
      path === undefined
        ? `Send it through: ${command}`
        : `Save it as UTF-8: ${command} ${shellWord(path)} > new${/\.\w+$/.exec(path)?.[0] ?? ''}`,
  });
}

/** UTF-16 has a mark at its start, or a NUL in every other byte. */
function utf16Of(content: Uint8Array): string | undefined {
  const [first = 0, second = 0] = content;
  if ((first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff)) return 'UTF-16';
  const start = content.subarray(0, 1000);
  const nuls = (odd: number) => start.filter((byte, at) => byte === 0 && at % 2 === odd).length;
  if (nuls(1) > start.length / 4) return 'UTF-16LE';
  return nuls(0) > start.length / 4 ? 'UTF-16BE' : undefined;
}
