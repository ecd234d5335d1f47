import type { Config } from '../../config/define.ts';
import { requirePlainStatements } from '../../engine/sql/plain-statements.ts';
import { runStatements } from '../../engine/statements.ts';
import type { ResultTable } from '../../postgres/message.ts';
import { firstRefused } from '../../postgres/only-parse.ts';
import { SQLSTATE, sqlstateOf } from '../../postgres/sqlstate.ts';
import { attemptOf, refOf, skipped } from '../attempt.ts';
import type { RunReport, TenantRef } from '../report/report.ts';
import { type Selection, requireSelection } from '../select.ts';
import { serialize } from '../schedule/serialize.ts';
import { type RunOptions, walk } from '../walk.ts';

export interface ExecOptions extends RunOptions {
  /** Lets the statements change something: in one transaction for each tenant, and as a run of the ledger. */
  write?: boolean;
  /** What the statements came from, for messages. */
  source?: string;
  /**
   * A tenant's rows, all of them, once all its statements are done; a promise holds its lane. The report then
   * does not hold them.
   */
  onRows?: (rows: TenantRows) => unknown;
}

/** What the statements returned at one tenant, one table for each; values as PostgreSQL writes them. */
export interface TenantRows {
  tenant: TenantRef;
  tables: ResultTable[];
}

export interface ExecReport extends RunReport {
  /** In the order in which the tenants ended; absent when they were streamed (`onRows`). */
  rows?: TenantRows[];
}

/**
 * Runs statements at every selected tenant, read-only unless told otherwise. A tenant fails as a whole, without
 * rows. Throws as `up` does, and USAGE for statements that would end their transaction.
 */
export async function exec(
  config: Config,
  selection: Selection,
  sql: string,
  options: ExecOptions = {},
): Promise<ExecReport> {
  const { write = false, source = 'the statements', onRows, ...runOptions } = options;
  requireSelection(selection);
  requirePlainStatements(sql, source, { write });
  let one: OneFirst | undefined;
  const gathered: TenantRows[] = [];
  const deliver = onRows ?? ((rows: TenantRows) => gathered.push(rows));
  const report = await walk(
    config,
    {
      name: 'exec',
      selection,
      recorded: write,
      // Another version may take what the central server refuses.
      preflight: async ({ central }) => {
        const refused = await serialize(central, () => firstRefused(central.connection, [sql]));
        one = refused === undefined ? undefined : new OneFirst();
        return undefined;
      },
      // Reading does no harm to one that is on hold.
      passes: ({ status }) => (status === 'hold' && !write) || undefined,
      visit: async ({ tenant, target, options: { signal, onWaiting, admit } }) => {
        const wait = { lockWait: config.pace.lockWait, signal, onWaiting };
        const writing = write ? { history: config.history, wait, admit } : undefined;
        const ask = () => runStatements(target, { sql, source, write: writing, timeouts: config.pace });
        const tables = one ? await one.ask(ask) : await ask();
        if (!tables) return skipped('not sent: another server calls it a syntax error');
        await deliver({ tenant: refOf(tenant), tables });
        return attemptOf({ outcome: 'executed' });
      },
    },
    runOptions,
  );
  return onRows ? report : { ...report, rows: gathered };
}

/** What looks like a syntax error is asked of one server, and goes to the others when that one took it. */
class OneFirst {
  #isWrong: Promise<boolean> | undefined;

  /** Undefined: it was not sent. */
  async ask<T>(ask: () => Promise<T>): Promise<T | undefined> {
    if (this.#isWrong) return (await this.#isWrong) ? undefined : ask();
    const answer = ask();
    this.#isWrong = answer.then(
      () => false,
      (error: unknown) => sqlstateOf(error) === SQLSTATE.syntaxError,
    );
    return answer;
  }
}
