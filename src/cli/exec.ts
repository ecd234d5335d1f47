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
  if (file === '-') {
    const sql = utf8Of(await buffer(process.stdin), undefined, { name: 'stdin', code: 'USAGE' });
    return { sql, source: 'stdin' };
  }
  const content = await readFile(file).catch((error: unknown) => {
    const reason = error instanceof Error ? error.message.replace(/, open .*/, '') : String(error);
    throw new MpmError('USAGE', `--file ${file} cannot be read: ${reason}`, { hint: 'Nothing was started.' });
  });
  return { sql: utf8Of(content, file, { name: `--file ${file}`, code: 'USAGE' }), source: file };
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
