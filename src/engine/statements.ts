import { MpmError } from '../errors.ts';
import type { Connection } from '../postgres/connection.ts';
import type { ResultTable } from '../postgres/message.ts';
import { type DatabaseTarget, withConnection } from '../postgres/connect.ts';
import { databaseFields, isConnectionLoss, isServerError } from '../postgres/sqlstate.ts';
import { SESSION_SETTINGS } from '../postgres/settings.ts';
import { excerptAt, offsetOfPosition } from './sql/locate.ts';
import { type HistoryTable } from './history/history.ts';
import { tryLockShared } from './history/lock-sql.ts';
import { type Wait, waitForLock } from './apply/lock.ts';
import { type Admit, BEGIN, setTimeouts, type Timeouts } from './apply/batch.ts';

/** Statements for one database; checked by `requirePlainStatements`. */
export interface Statements {
  sql: string;
  /** What they came from: a file, or `--sql`. */
  source: string;
  /** In a transaction that is committed; absent: in a read-only one. */
  write?: Writing | undefined;
  timeouts: Timeouts;
}

/** Who writes to a tenant is at work there, beside others that only write but beside nobody who migrates it. */
export interface Writing {
  history: HistoryTable;
  wait: Wait;
  admit?: Admit | undefined;
}

const READ_ONLY_VIOLATION = '25006';

/**
 * Runs statements in one transaction; what each of them returned.
 * @throws MpmError EXEC_FAILED, COMMIT_UNKNOWN, WRONG_DATABASE, and those of a connection
 */
export async function runStatements(target: DatabaseTarget, statements: Statements): Promise<ResultTable[]> {
  return withConnection(target, async (connection) => {
    const began = await openFor(connection, statements);
    try {
      await statements.write?.admit?.();
      const tables = await connection.read(statements.sql);
      await requireSameTransaction(connection, began);
      if (statements.write) await commit(connection);
      return tables;
    } catch (error) {
      throw error instanceof MpmError ? error : failed(error, statements);
    } finally {
      if (!connection.lost && connection.transaction !== 'idle') {
        await connection.query('rollback').catch(() => undefined);
      }
    }
  });
}

interface Opened {
  database: string;
  central: boolean;
  began: string;
  /** False: another runner migrates this database. */
  had: boolean;
}

/** Opens the transaction once nobody migrates the database; when it began. */
async function openFor(connection: Connection, statements: Statements): Promise<string> {
  for (;;) {
    const began = await open(connection, statements);
    if (began !== undefined) return began;
    await connection.query('rollback');
    const { history, wait } = statements.write ?? {};
    if (history && wait) await waitForLock(connection, history, wait);
  }
}

/**
 * Opens the transaction; when it began. After its first query, a read-only one cannot be made a writing one any
 * more. What comes next in it is not ours.
 */
async function open(connection: Connection, { write, timeouts }: Statements): Promise<string | undefined> {
  const begin = write ? BEGIN : 'begin isolation level repeatable read read only';
  const { results } = await connection.send(
    `${begin};
${setTimeouts(timeouts, { transaction: true }).join(';\n')};
select pg_catalog.current_database()::text as database, pg_catalog.to_regclass('mpm_migrate.runs') is not null as central,
  pg_catalog.transaction_timestamp()::text as began, ${write ? tryLockShared(write.history) : 'true'} as had;
${SESSION_SETTINGS.join(';\n')}`,
  );
  const found = results.flatMap(({ rows }) => rows)[0] as Opened | undefined;
  if (!found || found.database !== connection.database || found.central) {
    throw new MpmError('WRONG_DATABASE', `"${found?.database}" is not the tenant's database`, {
      subject: connection.database,
      hint: "Fix the tenant's row: mpm-migrate tenant show {tenant}",
    });
  }
  return found.had ? found.began : undefined;
}

/** What slipped through the check is at least told, and never as success. */
async function requireSameTransaction(connection: Connection, began: string): Promise<void> {
  const now = connection.transaction === 'open' ? await timestamp(connection) : undefined;
  if (now === began) return;
  throw new MpmError('EXEC_FAILED', 'the statements ended the transaction that they were given', {
    aftermath: 'what they committed was kept; it was not rolled back',
    hint: 'Remove what ends it, and check what was left: mpm-migrate status --tenant {tenant}',
  });
}

async function timestamp(connection: Connection): Promise<string | undefined> {
  const [row] = await connection.query<{ began: string }>(
    'select pg_catalog.transaction_timestamp()::text as began',
  );
  return row?.began;
}

async function commit(connection: Connection): Promise<void> {
  try {
    await connection.send('commit');
  } catch (error) {
    if (!isConnectionLoss(error) && !connection.lost) throw error;
    // Without a cause, for it must not be tried again.
    throw new MpmError('COMMIT_UNKNOWN', 'the connection was lost at COMMIT', {
      aftermath: "it isn't known whether the statements took effect",
      hint: 'Look at the tenant before you run them again: mpm-migrate exec --tenant {tenant} --sql "select …"',
    });
  }
}

function failed(error: unknown, { sql, source, write }: Statements): MpmError {
  const message = error instanceof Error ? error.message : String(error);
  if (!isServerError(error)) {
    return new MpmError('CONNECTION_LOST', `the connection was lost: ${message}`, { cause: error });
  }
  const { position } = error;
  return new MpmError('EXEC_FAILED', message, {
    cause: error,
    database: databaseFields(error),
    ...(position === undefined
      ? {}
      : { excerpt: excerptAt(source, sql, offsetOfPosition(sql, Number(position))) }),
    ...(write ? { aftermath: 'everything was rolled back' } : {}),
    ...(error.code === READ_ONLY_VIOLATION ? { hint: 'To change something, add: --write' } : {}),
  });
}
