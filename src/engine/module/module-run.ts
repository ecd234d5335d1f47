import { MpmError, type MpmErrorOptions } from '../../errors.ts';
import type { Connection } from '../../postgres/connection.ts';
import { databaseFields, isServerError, SQLSTATE, sqlstateOf } from '../../postgres/sqlstate.ts';
import type { ModuleScript } from '../migration.ts';
import { locateInModule } from '../sql/locate.ts';
import { followKysely, NOT_KYSELY } from './kysely-follow.ts';
import { type Statement, Statements } from './kysely-statements.ts';
import { currentModule, ModuleCall, type ModuleWatch } from './module-process.ts';

export interface ModuleRun {
  /** The migration's name. */
  name: string;
  script: ModuleScript;
  connection: Connection;
  inTransaction: boolean;
  /** Of the run that it is part of. */
  watch?: ModuleWatch | undefined;
  /** Throws for a query that is not to be sent. */
  refuse?: ((sql: string) => void) | undefined;
}

/**
 * Runs a module's function, and sees that it is done when it says so (engine 51, 52, 55).
 * @returns what is worth a notice
 * @throws what the module threw; MpmError MIGRATION_FAILED for what it left undone, or did to the process
 */
export async function runModule(run: ModuleRun): Promise<string[]> {
  const { name, script, connection, inTransaction, watch, refuse } = run;
  const statements = new Statements((sql) => {
    refuseOthers(call);
    refuse?.(sql);
    watch?.onSql?.(name, sql);
  });
  const call = new ModuleCall({ name, path: script.path }, { statements, watch });
  const db = await connection.kysely<unknown>({ inTransaction, watch: statements });
  let thrown: { error: unknown } | undefined;
  await call.run(async () => {
    try {
      await script.run(followKysely(db, statements));
    } catch (error) {
      thrown = { error };
    }
    await statements.end();
  });
  const problem = problemOf(run, statements, call, thrown);
  if (problem) throw problem;
  if (thrown) throw thrown.error;
  const unexecuted = statements.unexecuted(db);
  if (unexecuted) {
    throw failed(run, `${unexecuted.what} was started but never executed`, unexecuted.place, {
      hint: 'End it with await ….execute() (for sql`…`: .execute(db)), or remove it.',
    });
  }
  if (!statements.sent) call.notices.push(`${name} sent nothing to the database`);
  return [...script.notices, ...call.notices];
}

/** Modules are shared by all lanes, and so is what one keeps: a handle, for instance (engine 58). */
function refuseOthers(call: ModuleCall): void {
  const caller = currentModule();
  if (!caller || caller === call) return;
  const error = new MpmError(
    'MIGRATION_FAILED',
    `a statement of ${caller.name} was sent on the handle that ${call.name} was given for another call`,
    {
      hint: 'Use the db that the function gets, and keep nothing between calls: all tenants share the module and its imports.',
    },
  );
  for (const each of [caller, call]) {
    if (!each.over) each.raise(error, 'refused');
  }
  throw error;
}

/** What says more than the error that the module threw, if it threw one. */
function problemOf(
  run: ModuleRun,
  statements: Statements,
  { faults }: ModuleCall,
  thrown: { error: unknown } | undefined,
): MpmError | undefined {
  const refused = faults.find(({ kind }) => kind === 'refused')?.error ?? statements.refused;
  if (refused instanceof MpmError) return located(run, refused);
  // Any statement fails with this one after another one has failed, which may be one that nobody awaited.
  const cause = thrown && sqlstateOf(thrown.error) !== SQLSTATE.inFailedTransaction ? thrown : undefined;
  if (cause) return thrownProblem(run, statements, cause.error);
  for (const { error, kind } of faults) {
    const failing = statements.failedWith(error);
    const message = error instanceof Error ? error.message : String(error);
    if (failing) return unawaited(run, failing.statement, `, and failed: ${message}`, error);
    if (statements.unawaited) continue;
    const what =
      kind === 'rejection'
        ? 'a promise that nobody awaited was rejected'
        : 'an exception was thrown and not caught';
    return failed(run, `${what}: ${message}`, error, {
      cause: error,
      hint: 'Await it, or return its promise.',
    });
  }
  if (thrown || !statements.unawaited) return undefined;
  return unawaited(run, statements.unawaited.statement);
}

/** What Kysely does not have is most likely another tool's. */
function thrownProblem(run: ModuleRun, statements: Statements, error: unknown): MpmError | undefined {
  if (error instanceof MpmError) return located(run, error);
  if (!(error instanceof TypeError)) return undefined;
  const [missing] = statements.missing.filter((name) => error.message.includes(lastWord(name)));
  const called = !statements.sent && /^\w+ is not a function$/.test(error.message);
  const what = missing ?? statements.missing[0];
  if (what === undefined && !called) return undefined;
  return failed(run, error.message, error, {
    cause: error,
    hint: `${what === undefined ? 'Kysely is not a function' : `Kysely has no ${what}`}. ${NOT_KYSELY} Rewrite it for Kysely, or in SQL.`,
  });
}

function lastWord(name: string): string {
  return name.slice(name.lastIndexOf('.') + 1);
}

function unawaited(
  run: ModuleRun,
  statement: Statement | undefined,
  outcome = '',
  cause?: unknown,
): MpmError {
  const what = statement ? `: ${statement.what}` : '';
  return failed(run, `a statement was not awaited${what}${outcome}`, statement?.place, {
    cause,
    hint: 'Add await before it, or return its promise.',
    ...(isServerError(cause) && { database: databaseFields(cause) }),
  });
}

function failed(run: ModuleRun, message: string, place: unknown, options: MpmErrorOptions): MpmError {
  const excerpt = locateInModule(run.script, place);
  return new MpmError('MIGRATION_FAILED', message, { ...options, ...said(run), ...(excerpt && { excerpt }) });
}

function located(run: ModuleRun, error: MpmError): MpmError {
  const excerpt = locateInModule(run.script, error);
  return error.with({ ...said(run), ...(excerpt && { excerpt }) });
}

function said({ name, inTransaction }: ModuleRun): MpmErrorOptions {
  return { migration: name, ...(inTransaction && { aftermath: 'the migration was rolled back' }) };
}
