import { MpmError } from '../../errors.ts';
import { SQLSTATE, databaseFields, isServerError } from '../../postgres/sqlstate.ts';
import { BY_HAND, MOVES_DATABASE } from '../apply/failure.ts';
import { GUARD } from '../history/history.ts';
import { ownTableHint } from '../history/own-table.ts';
import type { SqlScript } from '../migration.ts';
import { locate, locateInModule } from '../sql/locate.ts';
import { scan } from '../sql/scan.ts';
import type { Step } from '../sql/split.ts';
import { type Progress, type StatementRun, textOf } from './statement-run.ts';

export function stopped(run: StatementRun, at: Progress, error: unknown, clean = false): MpmError {
  const { steps, script } = run;
  const step = steps?.[at.done];
  const known = error instanceof MpmError ? error : undefined;
  const excerpt = step
    ? locateStep(run, step, at, error)
    : script.kind === 'module'
      ? (known?.excerpt ?? locateInModule(script, error))
      : undefined;
  const server = isServerError(error) ? error : undefined;
  const place = step
    ? `it stopped at statement ${at.done + 1} of ${steps?.length}`
    : steps
      ? 'it stopped behind its last statement'
      : 'it stopped halfway';
  const lost = run.context.connection.lost !== undefined;
  const message = messageOf(error);
  return new MpmError(
    lost ? 'CONNECTION_LOST' : known?.code === 'INTERRUPTED' ? known.code : 'MIGRATION_FAILED',
    lost ? `the connection was lost while ${run.name} ran: ${message}` : message,
    {
      migration: run.name,
      // A retry by the lanes would be refused as interrupted: what is kept is resumed on request only.
      cause: clean ? error : undefined,
      aftermath: clean ? 'nothing was kept' : `${place}; earlier work was kept`,
      ...hintOf(run, step, error, clean),
      ...(excerpt && { excerpt }),
      ...(server ? { database: databaseFields(server) } : known?.database && { database: known.database }),
    },
  );
}

/** What is to be done, and how it goes on; where nothing was kept, only what is not plain. */
function hintOf(
  run: StatementRun,
  step: Step | undefined,
  error: unknown,
  clean: boolean,
): { hint?: string } {
  const { name, script, context } = run;
  const command = `mpm-migrate resolve ${name} --tenant {tenant}`;
  const server = isServerError(error) ? error : undefined;
  const [move] = (step && MOVES_DATABASE.exec(textOf(run, step))) ?? [];
  if (move && server?.code === SQLSTATE.objectInUse) {
    return {
      hint: `${BY_HAND}: ${move.replace(/\s+/g, ' ').trim()};\nThen go on after it: ${command} --skip`,
    };
  }
  const own =
    server && ownTableHint(context.history, server, script.kind === 'sql' ? script.text : undefined);
  if (clean) return own === undefined ? {} : { hint: own };
  const known = error instanceof MpmError ? error.hint : undefined;
  return { hint: `${own ?? known ?? 'Fix the cause.'}\nThen resume: ${command} --retry` };
}

function messageOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.includes(GUARD.moved)
    ? 'the history was changed meanwhile: this attempt no longer holds it'
    : message;
}

function locateStep(run: StatementRun, step: Step, { inFront, answered }: Progress, error: unknown) {
  if (run.script.kind !== 'sql') return undefined;
  const script: SqlScript = run.script;
  const text = textOf(run, step);
  const server = isServerError(error) ? error : undefined;
  const within = { ...script, sql: text, start: script.start + step.start };

  return locate(within, {
    message: inFront + text,
    prefix: inFront.length,
    position: server?.position,
    where: server?.where,
    completed: step.isBlock ? Math.max(0, answered - scan(inFront).statements.length) : 0,
  });
}
