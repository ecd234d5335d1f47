import { scan } from '../../src/engine/sql/scan.ts';

const WORDS = new Set(['begin', 'start', 'commit', 'rollback', 'end', 'abort']);

/** Whether a file begins or ends transactions itself; bodies of functions, strings and comments do not count. */
export function controlsTransactions(sql: string): boolean {
  return scan(sql).statements.some(({ words }) => WORDS.has(words[0] ?? ''));
}

/** The file without its BEGIN and COMMIT statements; lines stay where they are. */
export function withoutTransactionControl(sql: string): string {
  let kept = '';
  let from = 0;
  for (const { start, next, words } of scan(sql).statements) {
    if (!WORDS.has(words[0] ?? '')) continue;
    kept += sql.slice(from, start);
    from = next;
  }
  return kept + sql.slice(from);
}
