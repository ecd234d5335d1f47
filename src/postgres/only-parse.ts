import type { Connection } from './connection.ts';
import { isServerError, SQLSTATE } from './sqlstate.ts';

/**
 * Asks the server whether it can parse some texts, without running them: in a transaction that has failed it does
 * nothing else (PostgreSQL manual, appendix A: 42601, or 25P02 for what it would run). No text may end a transaction.
 * @returns the index of the first text that it refuses
 */
export async function firstRefused(
  connection: Connection,
  texts: readonly string[],
): Promise<number | undefined> {
  const codeOf = async (sql: string): Promise<string | undefined> => {
    try {
      await connection.raw(sql);
      return undefined;
    } catch (error) {
      return isServerError(error) ? error.code : Promise.reject(error as Error);
    }
  };
  await connection.raw('begin');
  await codeOf('rollback to savepoint mpm_migrate');
  try {
    for (const [index, text] of texts.entries()) {
      if ((await codeOf(text)) !== SQLSTATE.inFailedTransaction) return index;
    }
    return undefined;
  } finally {
    if (!connection.lost) await connection.raw('rollback');
  }
}
