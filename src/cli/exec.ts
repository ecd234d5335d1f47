import { readFile } from 'node:fs/promises';
import { buffer } from 'node:stream/consumers';
import { MpmError } from '../errors.ts';
import type { TenantRows } from '../fleet/verbs/exec.ts';
import { utf8Of } from '../engine/source/files.ts';
import type { Theme } from '../ui/theme.ts';
import { type RowsFormat, rowsAsCsv, rowsAsNdjson, rowsAsTable } from '../ui/views/rows.ts';
import { stdoutSink } from './result-file.ts';

export interface StatementFlags {
  sql?: string | undefined;
  file?: string | undefined;
}

/** The statements of `--sql` or `--file`. */
export async function openStatements({
  sql,
  file,
}: StatementFlags): Promise<{ sql: string; source: string }> {
  if (sql !== undefined) return { sql, source: '--sql' };
  if (file === undefined) {
    throw new MpmError('USAGE', 'Say what is to be run: --sql or --file', {
      hint: "For example: --sql 'select count(*) from meters'",
    });
  }
  return { sql: await textOf(file, '--file'), source: file === '-' ? 'stdin' : file };
}

/** The lines of a file that say something; `-` is stdin. */
export async function namesIn(file: string): Promise<string[]> {
  const text = await textOf(file, '--list');
  return text.split(/\r?\n/).filter((line) => line.trim() !== '');
}

/** What a flag's file holds; `-` is stdin. @throws MpmError USAGE */
async function textOf(file: string, flag: string): Promise<string> {
  if (file === '-') return utf8Of(await buffer(process.stdin), undefined, { name: 'stdin', code: 'USAGE' });
  const content = await readFile(file).catch((error: unknown) => {
    const reason = error instanceof Error ? error.message.replace(/, open .*/, '') : String(error);
    throw new MpmError('USAGE', `${flag} ${file} cannot be read: ${reason}`, {
      hint: 'Nothing was started.',
    });
  });
  return utf8Of(content, file, { name: `${flag} ${file}`, code: 'USAGE' });
}

/** Prints rows as they come on the stdout of this moment; slower readers hold the lanes. */
export function printRows(
  format: string,
  theme: Theme,
): { take(rows: TenantRows): Promise<void> | undefined; end(): Promise<void> | undefined } {
  const rows: RowsFormat =
    format === 'csv' ? rowsAsCsv() : format === 'ndjson' ? rowsAsNdjson() : rowsAsTable(theme);
  const { stdout, stderr } = process;
  // On a terminal that shows both, rows go the way of what others print: above the frame.
  const write =
    stdout.isTTY && stderr.isTTY
      ? (out: string) => void stdout.write(out)
      : (
          (sink) => (out: string) =>
            sink.write(out)
        )(stdoutSink());
  const print = (out: string): Promise<void> | undefined => (out ? (write(out) ?? undefined) : undefined);
  return { take: (taken) => print(rows.take(taken)), end: () => print(rows.end()) };
}
