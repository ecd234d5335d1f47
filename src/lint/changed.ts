import { execFile } from 'node:child_process';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import { MpmError, messageOf } from '../errors.ts';

/** What is not as it is in another commit. */
export interface Changed {
  /** Absolute paths, links resolved, of files that were added or changed, uncommitted and untracked ones, too. */
  files: ReadonlySet<string>;
  /** Since which branch, or as it was given. */
  since: string;
  /** The commit that is compared with: the merge base. */
  base: string;
}

/** What a branch is usually compared with: the first that there is. */
const USUAL = ['origin/HEAD', 'origin/main', 'origin/master', 'main', 'master'];

const run = promisify(execFile);

/**
 * The files that a branch changes: since the merge base of `since`, or of the main branch, and HEAD.
 * @returns undefined where there is no Git repository, or no main branch, and nothing was asked for
 * @throws MpmError GIT for a shallow clone, and for a `since` that is no commit
 */
export async function changedSince(folder: string, since?: string): Promise<Changed | undefined> {
  const git = async (...args: string[]): Promise<string> => {
    const { stdout } = await run('git', ['-C', folder, ...args], { maxBuffer: 64 * 1024 * 1024 });
    return stdout;
  };
  const tried = (...args: string[]) => git(...args).catch(() => undefined);
  const top = (await tried('rev-parse', '--show-toplevel'))?.trimEnd();
  if (top === undefined) {
    if (since === undefined) return undefined;
    throw new MpmError('GIT', `--since ${since}: ${folder} is in no Git repository`, {
      hint: 'Name the files instead: mpm-migrate lint FILE',
    });
  }
  const isCommit = (name: string) =>
    tried('rev-parse', '--verify', '--quiet', '--end-of-options', `${name}^{commit}`);
  const isShallow = (await tried('rev-parse', '--is-shallow-repository'))?.trim() === 'true';
  let from = since;
  for (const name of since === undefined ? USUAL : []) {
    if (from === undefined && (await isCommit(name)) !== undefined) from = name;
  }
  if (from === undefined && !isShallow) return undefined;
  const base = from !== undefined && (await isCommit(from)) === undefined ? undefined : await mergeBase(from);
  if (base === undefined) throw isShallow ? shallow(from) : unknown(from ?? '');
  const changed = await git(
    'diff',
    '--name-only',
    '-z',
    '--no-renames',
    '--no-relative',
    '--diff-filter=d',
    base,
    '--',
  ).catch((error: unknown) => {
    throw new MpmError('GIT', `git diff ${base}: ${messageOf(error)}`, { cause: error });
  });
  const untracked = await git('-C', top, 'ls-files', '--others', '--exclude-standard', '-z');
  const files = `${changed}${untracked}`.split('\0').filter(Boolean);
  return { files: new Set(files.map((file) => resolve(top, file))), since: from ?? '', base };

  async function mergeBase(name: string | undefined): Promise<string | undefined> {
    return name === undefined ? undefined : (await tried('merge-base', name, 'HEAD'))?.trim();
  }
}

function shallow(since: string | undefined): MpmError {
  const of = since === undefined ? 'the main branch' : since;
  return new MpmError('GIT', `this clone is shallow: it doesn't hold where it left ${of}`, {
    hint: `Fetch the whole history. On GitHub, give actions/checkout: fetch-depth: 0
On GitLab, set the variable: GIT_DEPTH: 0
Elsewhere: git fetch --unshallow`,
  });
}

function unknown(since: string): MpmError {
  return new MpmError('GIT', `--since ${since}: no commit that this branch comes from`, {
    hint: 'Name a branch or commit that is here, for example: --since origin/main',
  });
}
