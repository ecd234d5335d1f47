import { isUtf8 } from 'node:buffer';
import { type Dirent, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { MpmError } from '../../errors.ts';
import { shellWord } from '../../shell-word.ts';
import { withoutBom } from './checksum.ts';
import { compareNames, compareVersions, parseFileName } from './name.ts';

/** One migration in a folder: its file, and its second one when it is a pair. File names without the folder. */
export interface MigrationFiles {
  name: string;
  version: string;
  /** `pair`: file is the `.up.sql`. */
  kind: 'sql' | 'pair' | 'module';
  file: string;
  downFile?: string;
}

/** The migrations of a folder in order, and what is wrong with its file names. */
export interface FolderListing {
  migrations: MigrationFiles[];
  problems: MpmError[];
}

const DECLARATION = /\.d\.[mc]?ts$/;
const MIGRATION = /\.(?:sql|[mc]?[tj]s)$/i;

/**
 * Lists the migrations of a folder; sub-folders, dotfiles, type declarations and other files are passed by.
 * @throws MpmError FOLDER_MISSING, FILE_SYSTEM
 */
export function listFolder(folder: string): FolderListing {
  const { files, problems } = readFolder(folder);
  const listing = arrange(folder, files);
  return { ...listing, problems: [...problems, ...listing.problems] };
}

/** The files in a folder that would be migrations, by their extension; and what is called like one and is no file. */
export function readFolder(folder: string): { files: string[]; problems: MpmError[] } {
  const files: string[] = [];
  const problems: MpmError[] = [];
  for (const entry of entriesOf(folder)) {
    if (!isMigrationFile(entry.name)) continue;
    const problem = entry.isFile() ? undefined : kindProblem(folder, entry.name);
    if (problem) problems.push(problem);
    else files.push(entry.name);
  }
  return { files, problems };
}

function entriesOf(folder: string): Dirent[] {
  try {
    return readdirSync(folder, { withFileTypes: true });
  } catch (error) {
    throw folderError(folder, error);
  }
}

/** What is wrong with a name that is not simply a file's: a link may lead to one. */
function kindProblem(folder: string, name: string): MpmError | undefined {
  const path = join(folder, name);
  let what: string;
  try {
    const stat = statSync(path);
    if (stat.isFile()) return undefined;
    what = stat.isDirectory() ? 'is a folder, not a file' : "isn't an ordinary file";
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? '';
    what = ['ENOENT', 'ELOOP', 'ENOTDIR'].includes(code)
      ? 'is a broken link'
      : `cannot be looked at: ${(error as Error).message}`;
  }
  return new MpmError('MIGRATION_INVALID', `${name} ${what}`, {
    subject: path,
    hint: "put the file there, remove it, or move it away: files named like migrations aren't ignored",
  });
}

export function isMigrationFile(file: string): boolean {
  return MIGRATION.test(file) && !DECLARATION.test(file) && !file.startsWith('.');
}

/** Puts file names together to migrations, in order. */
export function arrange(folder: string, files: readonly string[]): FolderListing {
  const problems: MpmError[] = [];
  const complain = (file: string, message: string, hint: string) =>
    problems.push(new MpmError('MIGRATION_INVALID', message, { subject: join(folder, file), hint }));
  const found: MigrationFiles[] = [];
  const downs = new Map<string, string>();

  for (const file of files.toSorted()) {
    const parsed = parseFileName(file);
    if (!parsed) {
      const lower = file.replace(MIGRATION, (extension) => extension.toLowerCase());
      if (lower !== file)
        complain(file, `${file}: its extension is not in lower case`, `rename it to ${lower}`);
      else
        complain(
          file,
          `${file} has no numeric prefix, so it has no place in the order`,
          /^(?:index|main)\./.test(file)
            ? "move files that aren't migrations into a subfolder"
            : `move files that aren't migrations into a subfolder; a migration's name is like 20260131120000_${file}`,
        );
      continue;
    }
    const { name, version, extension } = parsed;
    if (extension === 'down.sql') downs.set(name, file);
    else found.push({ name, version, kind: kindOf(extension), file });
  }

  found.sort((a, b) => compareNames(a.name, b.name));
  for (const [index, second] of found.entries()) {
    const first = found[index - 1];
    if (!first || compareVersions(first.version, second.version) !== 0) continue;
    const same =
      first.name === second.name ? 'have the same name' : `have the same version, ${second.version}`;
    complain(
      second.file,
      `${first.file} and ${second.file} ${same}`,
      "give another number to the one that isn't applied anywhere yet",
    );
  }
  for (const pair of found) {
    const down = downs.get(pair.name);
    if (pair.kind !== 'pair' || down === undefined) continue;
    pair.downFile = down;
    downs.delete(pair.name);
  }
  for (const [name, file] of downs) {
    const single = found.find((migration) => migration.name === name);
    complain(
      file,
      `${file} has no ${name}.up.sql`,
      single ? `rename ${single.file} to ${name}.up.sql` : `add ${name}.up.sql, or remove ${file}`,
    );
  }
  return { migrations: found, problems };
}

function kindOf(extension: string): MigrationFiles['kind'] {
  return extension === 'sql' ? 'sql' : extension === 'up.sql' ? 'pair' : 'module';
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
