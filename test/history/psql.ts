import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { writeFile } from 'node:fs/promises';
import type { HistoryMigration } from './collect.ts';
import { controlsTransactions } from './transactions.ts';

const run = promisify(execFile);
const OUTSIDE =
  /cannot run inside a transaction block|cannot be executed from a function|unsafe use of new value/;

export interface PsqlResult {
  /** How many went through, and in how many ms. */
  done: number;
  ms: number;
  /** Names of those that only work outside a transaction. */
  outside: Set<string>;
  failure?: { migration: HistoryMigration; message: string };
}

/** Applies each with `psql -1 -v ON_ERROR_STOP=1 -f`; without `-1` where a file cannot run in one transaction. */
export async function applyWithPsql(
  url: string,
  migrations: readonly HistoryMigration[],
  direction: 'up' | 'down',
  scratch: string,
): Promise<PsqlResult> {
  const started = performance.now();
  const outside = new Set<string>();
  let done = 0;
  const result = (): PsqlResult => ({ done, ms: Math.round(performance.now() - started), outside });
  for (const migration of migrations) {
    const text = direction === 'up' ? migration.up : migration.down;
    if (text === undefined) return { ...result(), failure: { migration, message: 'it has no way down' } };
    await writeFile(scratch, text);
    let message = await attempt(url, scratch, !migration.outside[direction] && !controlsTransactions(text));
    if (message && OUTSIDE.test(message)) {
      outside.add(migration.name);
      message = await attempt(url, scratch, false);
    }
    if (message) return { ...result(), failure: { migration, message } };
    done++;
  }
  return result();
}

async function attempt(url: string, file: string, oneTransaction: boolean): Promise<string | undefined> {
  const options = ['-X', '-q', '-v', 'ON_ERROR_STOP=1', ...(oneTransaction ? ['-1'] : []), '-f', file];
  try {
    await run('psql', [...options, url], {
      maxBuffer: 64 << 20,
      env: { ...process.env, PGOPTIONS: '-c client_min_messages=warning' },
    });
    return undefined;
  } catch (error) {
    return (
      (error as { stderr?: string }).stderr?.replaceAll(`psql:${file}:`, 'line ').trim() || String(error)
    );
  }
}

/** One statement or several; rows unaligned, one a line. */
export async function ask(url: string, sql: string): Promise<string> {
  const { stdout } = await run('psql', ['-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-c', sql, url], {
    maxBuffer: 64 << 20,
  });
  return stdout.trim();
}
