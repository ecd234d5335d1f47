import { MpmError } from '../errors.ts';
import { databaseFields, isConnectionLoss, isServerError, SQLSTATE } from './sqlstate.ts';

/** What a database refused outside of any migration, in our own words; what is an MpmError already stays as it is. */
export function databaseError(error: unknown, database: string): unknown {
  if (error instanceof MpmError) return error;
  if (isServerError(error)) {
    const rights = error.code === SQLSTATE.insufficientPrivilege;
    return new MpmError('DATABASE_ERROR', error.message, {
      subject: database,
      cause: error,
      database: databaseFields(error),
      aftermath: 'nothing was changed by this step',
      ...(rights && {
        hint: `Give the user that migrates its rights: to connect, to create a schema in "${database}", to use the schema of the history.`,
      }),
    });
  }
  if (!isConnectionLoss(error)) return error;
  const message = error instanceof Error ? error.message : String(error);
  return new MpmError('CONNECTION_LOST', `the connection to "${database}" was lost: ${message}`, {
    subject: database,
    cause: error,
  });
}
