import { type DatabaseErrorFields, MpmError } from '../errors.ts';
import { bounded } from '../text.ts';

/** The SQLSTATEs that decide something here (PostgreSQL manual, appendix A). */
export const SQLSTATE = {
  protocolViolation: '08P01',
  uniqueViolation: '23505',
  foreignKeyViolation: '23503',
  invalidText: '22P02',
  invalidPassword: '28P01',
  invalidAuthorization: '28000',
  activeTransaction: '25001',
  readOnly: '25006',
  inFailedTransaction: '25P02',
  noActiveTransaction: '25P01',
  invalidTermination: '2D000',
  invalidSavepoint: '3B001',
  unknownDatabase: '3D000',
  undefinedSchema: '3F000',
  undefinedTable: '42P01',
  syntaxError: '42601',
  undefinedColumn: '42703',
  wrongObjectType: '42809',
  insufficientPrivilege: '42501',
  objectInUse: '55006',
  unsafeEnum: '55P04',
  notInPrerequisiteState: '55000',
  lockNotAvailable: '55P03',
  duplicateDatabase: '42P04',
  duplicateObject: '42710',
  duplicateTable: '42P07',
  undefinedObject: '42704',
  dependentObjects: '2BP01',
  deadlock: '40P01',
  serializationFailure: '40001',
  tooManyConnections: '53300',
  queryCanceled: '57014',
  adminShutdown: '57P01',
  crashShutdown: '57P02',
  cannotConnectNow: '57P03',
  internalError: 'XX000',
} as const;

/** The fields of an error that the server sent; pg's DatabaseError has more, which say nothing to users. */
export type ServerError = Error &
  Omit<DatabaseErrorFields, 'message'> & {
    severity: string;
    /** The server's C function that reported it. */
    routine?: string;
    position?: string;
    internalPosition?: string;
  };

export function isServerError(error: unknown): error is ServerError {
  return error instanceof Error && 'severity' in error && 'code' in error && typeof error.code === 'string';
}

/** Cuts what the server said to what is shown of it: a tenant's function may raise an error of any length (engine 35). */
export function boundError(error: unknown): void {
  if (!isServerError(error)) return;
  const fields = error as unknown as Record<string, unknown>;
  const frames = error.stack?.slice(error.stack.indexOf('\n    at ')) ?? '';
  for (const [key, value] of Object.entries(fields))
    if (typeof value === 'string') fields[key] = bounded(value);
  error.message = bounded(error.message);
  error.stack = `error: ${error.message}${frames}`;
}

export function sqlstateOf(error: unknown): string | undefined {
  if (isServerError(error)) return error.code;
  return error instanceof Error && error.cause !== undefined ? sqlstateOf(error.cause) : undefined;
}

export function databaseFields(error: ServerError): DatabaseErrorFields {
  const { code, message, detail, hint, where, schema, table, column, constraint } = error;
  const all = { code, message, detail, hint, where, schema, table, column, constraint };
  return Object.fromEntries(
    Object.entries(all).filter(([, value]) => value),
  ) as unknown as DatabaseErrorFields;
}

/** A policy would have decided which rows there are; told by the server's function, because its words are translated. */
export function isRowSecurity(error: unknown): boolean {
  return (
    isServerError(error) &&
    error.code === SQLSTATE.insufficientPrivilege &&
    error.routine === 'check_enable_rls'
  );
}

/** The connection is gone, and the server did not say that somebody ended it on purpose. */
export function isConnectionLoss(error: unknown): boolean {
  if (isServerError(error)) {
    const lost: string[] = [SQLSTATE.crashShutdown, SQLSTATE.cannotConnectNow];
    return (
      lost.includes(error.code) || (error.code.startsWith('08') && error.code !== SQLSTATE.protocolViolation)
    );
  }
  if (!(error instanceof Error)) return false;
  const code = 'code' in error ? String(error.code) : '';
  return (
    /^(ECONNRESET|EPIPE|ETIMEDOUT|ECONNABORTED|ENETRESET|EHOSTUNREACH)$/.test(code) ||
    /^Connection terminated|^Client has encountered a connection error|not queryable$/.test(error.message)
  );
}

/** After it nothing more can be sent: the connection is gone, or the server ends it. */
export function endsConnection(error: unknown): boolean {
  return isConnectionLoss(error) || (isServerError(error) && error.code.startsWith('57P0'));
}

const CLUSTER_WIDE =
  /\bpg_(authid|auth_members|database|tablespace|shdepend|shdescription|db_role_setting|parameter_acl)\b/;

/**
 * Passes by itself: worth another attempt after a pause, when nothing was committed (engine 18). 23505 and XX000
 * count only on catalogs that all databases of a server share, where guarded statements of eight tenants collide.
 */
export function isTransient(error: unknown): boolean {
  if (isConnectionLoss(error)) return true;
  if (!isServerError(error)) return false;
  const always: string[] = [SQLSTATE.lockNotAvailable, SQLSTATE.deadlock, SQLSTATE.serializationFailure];
  if (always.includes(error.code)) return true;
  if (error.code === SQLSTATE.uniqueViolation)
    return CLUSTER_WIDE.test(`${error.table ?? ''} ${error.constraint ?? ''}`);
  // Inside a DO block it is most likely guarded, and the guard sees the role next time.
  if (error.code === SQLSTATE.duplicateObject)
    return error.routine === 'CreateRole' && error.where !== undefined;
  return error.code === SQLSTATE.internalError && /tuple concurrently (updated|deleted)/.test(error.message);
}

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
        hint: `Grant the migrating user permission to connect, to create a schema in "${database}", and to use the history's schema.`,
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
