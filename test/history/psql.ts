import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Step } from './collect.ts';
import type { Script } from './sections.ts';

const run = promisify(execFile);
const OUTSIDE =
  /cannot run inside a transaction block|cannot be executed from a function|unsafe use of new value/;
/** What PostgreSQL says when a file begins or ends transactions itself. */
const CONTROLS = /WARNING: +there is (?:already a|no) transaction in progress/;

export interface PsqlResult {
  /** Those that went through, with the transaction that each needs. */
  done: Script[];
  ms: number;
  failure?: { file: string; message: string };
}

/**
 * Applies each with `psql -1 -v ON_ERROR_STOP=1 -f`; without `-1` where its author or PostgreSQL says that it can't run
 * in a transaction.
 */
export async function applyWithPsql(
  url: string,
  steps: readonly Step[],
  direction: 'up' | 'down',
  scratch: string,
): Promise<PsqlResult> {
  const started = performance.now();
  const done: Script[] = [];
  const stop = (file: string, message: string): PsqlResult => ({ ...end(), failure: { file, message } });
  const end = (): PsqlResult => ({ done, ms: Math.round(performance.now() - started) });
  for (const { file, foreign, [direction]: script } of steps) {
    if (foreign) return stop(file, `${foreign}, not SQL`);
    if (!script) return stop(file, `it has no way ${direction}`);
    const path = join(scratch, 'one.sql');
    await writeFile(path, script.sql);
    let { transaction } = script;
    let result = await attempt(url, path, transaction);
    if (result.failed && OUTSIDE.test(result.said)) {
      transaction = false;
      result = await attempt(url, path, transaction);
    }
    if (result.failed) return stop(file, result.said);
    done.push({ sql: script.sql, transaction: transaction && !CONTROLS.test(result.said) });
  }
  return end();
}

/** Applies them all in one session, each in the transaction that it needs; returns ms. */
export async function applyInOneSession(
  url: string,
  scripts: readonly Script[],
  scratch: string,
): Promise<number> {
  const lines: string[] = [];
  for (const [at, { sql, transaction }] of scripts.entries()) {
    const path = join(scratch, `${at}.sql`);
    await writeFile(path, sql);
    lines.push(...(transaction ? ['begin;', `\\i ${path}`, 'commit;'] : [`\\i ${path}`]), 'reset all;');
  }
  const all = join(scratch, 'all.sql');
  await writeFile(all, lines.join('\n'));
  const started = performance.now();
  const result = await attempt(url, all, false);
  if (result.failed) throw new Error(`One psql session could not run what one each could:\n${result.said}`);
  return Math.round(performance.now() - started);
}

async function attempt(
  url: string,
  file: string,
  oneTransaction: boolean,
): Promise<{ failed: boolean; said: string }> {
  const options = ['-X', '-q', '-v', 'ON_ERROR_STOP=1', ...(oneTransaction ? ['-1'] : []), '-f', file];
  const settings = {
    maxBuffer: 64 << 20,
    env: { ...process.env, PGOPTIONS: '-c client_min_messages=warning' },
  };
  try {
    const { stderr } = await run('psql', [...options, url], settings);
    return { failed: false, said: stderr };
  } catch (error) {
    const { stderr = '' } = error as { stderr?: string };
    return { failed: true, said: stderr.replaceAll(`psql:${file}:`, 'line ').trim() || String(error) };
  }
}

/** One statement or several; rows unaligned, one a line. */
export async function ask(url: string, sql: string): Promise<string> {
  const { stdout } = await run('psql', ['-X', '-q', '-A', '-t', '-v', 'ON_ERROR_STOP=1', '-c', sql, url], {
    maxBuffer: 64 << 20,
  });
  return stdout.trim();
}
