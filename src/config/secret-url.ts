import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { MpmError } from '../errors.ts';
import type { AddressSource, UrlPlace } from '../postgres/address.ts';
import { urlProblem } from './url.ts';

/** Where a URL is kept that is not to be in the configuration. */
export type UrlSecret = { command: string } | { file: string };

/** ms. A command that takes longer is ended. */
const LONGEST = 10_000;

/** ms. So long a URL that was refused and came out the same again, or one that could not be had, is not asked for. */
const PAUSE = 60_000;

const MOST_BYTES = 64 * 1024;

/** Reads it once, and again when the server refuses its login: passwords are changed while we run. */
export class Secret {
  readonly #read: () => Promise<string>;
  #value: Promise<string> | undefined;
  #failedAt = 0;
  #askedAgain: { refused: string; at: number } | undefined;

  /**
   * @param key where it is in the configuration
   * @param root what relative paths start from, and where a command runs
   */
  constructor(secret: UrlSecret, { key, root }: { key: string; root: string }) {
    this.#read = async () => {
      const found =
        'command' in secret
          ? await outputOf(secret.command, key, root)
          : await contentOf(secret.file, key, root);
      const problem = urlProblem(found);
      if (!problem) return found;
      const what = 'command' in secret ? 'the output of its command' : 'the content of its file';
      throw new MpmError('CONFIG_INVALID', `${key}: ${what} ${problem}`, {
        subject: key,
        hint: 'It must contain only a URL: postgres://user:password@host:5432/database',
      });
    };
  }

  async get(): Promise<string> {
    if (this.#failedAt && Date.now() - this.#failedAt > PAUSE) this.#value = undefined;
    this.#value ??= this.#readNow();
    return this.#value;
  }

  async #readNow(): Promise<string> {
    this.#failedAt = 0;
    try {
      return await this.#read();
    } catch (error) {
      this.#failedAt = Date.now();
      throw error;
    }
  }

  /** Another value than the refused one, if there is one. Those who ask at the same time cause one look. */
  async again(refused: string): Promise<string | undefined> {
    const current = await this.get();
    if (current !== refused) return current;
    const last = this.#askedAgain;
    if (last?.refused !== refused || Date.now() - last.at > PAUSE) {
      this.#askedAgain = { refused, at: Date.now() };
      this.#value = undefined;
    }
    const next = await this.get();
    return next === refused ? undefined : next;
  }
}

/** A URL that a command prints or a file holds. */
export class SecretUrl implements AddressSource {
  readonly name: string;
  place?: UrlPlace;
  readonly #secret: Secret;
  readonly #complete: (url: string) => string;
  readonly #asWas = new Map<string, string>();

  /** @param complete fills in what the URL leaves out */
  constructor(name: string, secret: Secret, complete: (url: string) => string) {
    this.name = name;
    this.#secret = secret;
    this.#complete = complete;
  }

  async lookUp(): Promise<string> {
    return this.#completed(await this.#secret.get());
  }

  async again(refused: string): Promise<string | undefined> {
    const next = await this.#secret.again(this.#asWas.get(refused) ?? refused);
    return next === undefined ? undefined : this.#completed(next);
  }

  #completed(url: string): string {
    const completed = this.#complete(url);
    this.#asWas.set(completed, url);
    return completed;
  }
}

async function contentOf(file: string, key: string, root: string): Promise<string> {
  const path = resolve(root, file);
  try {
    return (await readFile(path, 'utf8')).trim();
  } catch (error) {
    throw new MpmError('CONFIG_UNREADABLE', `${key}: can't read its file: ${(error as Error).message}`, {
      subject: key,
      cause: error,
      hint: `Check ${path} and its permissions.`,
    });
  }
}

/** What a command prints on its standard output. Nothing of it is in an error, and nothing of its standard error. */
async function outputOf(command: string, key: string, root: string): Promise<string> {
  // Node loads it as slowly as a package, and few configurations have a command.
  const { spawn } = await import('node:child_process');
  const child = spawn(command, {
    shell: true,
    cwd: root,
    stdio: ['ignore', 'pipe', 'ignore'],
    windowsHide: true,
  });
  const chunks: Buffer[] = [];
  let size = 0;
  const ended = new Promise<string | undefined>((tell) => {
    const late = setTimeout(() => tell(`it took longer than ${LONGEST / 1000} s`), LONGEST);
    child.stdout.on('data', (chunk: Buffer) => {
      chunks.push(chunk);
      size += chunk.length;
      if (size > MOST_BYTES) tell(`it printed more than ${MOST_BYTES / 1024} KB`);
    });
    child.once('error', (error) => tell(`it couldn't start: ${error.message}`));
    child.once('close', (code, signal) => {
      clearTimeout(late);
      tell(code === 0 ? undefined : `it ended with ${code === null ? String(signal) : `exit code ${code}`}`);
    });
  });
  const problem = await ended;
  if (problem === undefined) return Buffer.concat(chunks).toString('utf8').trim();
  // What it started may hold the pipe open after it: nobody waits for that.
  child.kill('SIGKILL');
  child.stdout.destroy();
  throw new MpmError('CONFIG_UNREADABLE', `${key}: its command didn't print a URL: ${problem}`, {
    subject: key,
    hint: "Run the command in the configuration's folder to see its output.",
  });
}
