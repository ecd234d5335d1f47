import { redact } from './secrets.ts';
import { bounded } from './text.ts';

/** Exit codes, the one table: `--help`, the README and every command read them from here. */
export const EXIT = {
  done: 0,
  failed: 1,
  usage: 2,
  tenantsFailed: 3,
  found: 4,
  busy: 5,
  interrupted: 130,
} as const;

export const EXIT_MEANING: Record<(typeof EXIT)[keyof typeof EXIT], string> = {
  0: 'done, or nothing to do (also: the fleet has no tenants)',
  1: "the command couldn't do its work: configuration, central database, or a bug",
  2: 'usage error, or an unknown tenant',
  3: 'the run finished; at least one tenant failed, or would fail (rehearse)',
  4: 'the command found something: status --exit-code and plan --exit-code (pending, drift), verify (drift), gate, up --phase contract (refused), lint, check, doctor, sync --check; after up, tenants whose folders lack core migrations; a label that no tenant has; or all named tenants are on hold',
  5: 'busy: another process holds a lock; try again later',
  130: 'interrupted; finished work is recorded, and running again continues from there (if several codes apply: the first of 130, 1, 3, 5, 4)',
};

/** Where several hold, the first of them is what a command ends with. */
const WORST_FIRST = [EXIT.interrupted, EXIT.failed, EXIT.tenantsFailed, EXIT.busy, EXIT.found] as const;

/** The one exit code of all that hold; 0 when none does. */
export function worstExit(holds: Partial<Record<(typeof WORST_FIRST)[number], boolean>>): number {
  return WORST_FIRST.find((code) => holds[code]) ?? EXIT.done;
}

/** Every error code that users can meet, with the exit code a command ends with when it is thrown. */
export const CODES = {
  // configuration and files: found before any database is touched
  CONFIG_MISSING: EXIT.failed,
  CONFIG_INVALID: EXIT.failed,
  CONFIG_UNREADABLE: EXIT.failed,
  FOLDER_MISSING: EXIT.failed,
  MIGRATION_INVALID: EXIT.failed,
  MIGRATION_NAME: EXIT.usage,
  FILE_EXISTS: EXIT.failed,
  FILE_SYSTEM: EXIT.failed,
  TENANT_FOLDER: EXIT.failed,
  // usage
  USAGE: EXIT.usage,
  NO_SELECTION: EXIT.usage,
  UNKNOWN_TENANT: EXIT.usage,
  UNKNOWN_RUN: EXIT.usage,
  UNKNOWN_PLUGIN: EXIT.usage,
  CONFIRMATION: EXIT.usage,
  // connections
  CONNECTION: EXIT.failed,
  PASSWORD: EXIT.failed,
  DATABASE_MISSING: EXIT.failed,
  DATABASE_NAME: EXIT.usage,
  WRONG_DATABASE: EXIT.failed,
  READ_ONLY: EXIT.failed,
  ROW_SECURITY: EXIT.failed,
  UNKNOWN_SERVER: EXIT.failed,
  // central
  CENTRAL_BEHIND: EXIT.failed,
  CENTRAL_INVALID: EXIT.failed,
  CENTRAL_FAILED: EXIT.failed,
  LEDGER_LOST: EXIT.failed,
  // one tenant's migration
  MIGRATION_FAILED: EXIT.tenantsFailed,
  MIGRATION_SWALLOWED: EXIT.tenantsFailed,
  MIGRATION_ESCAPED: EXIT.tenantsFailed,
  MIGRATION_LATE: EXIT.failed,
  EXEC_FAILED: EXIT.tenantsFailed,
  NOT_COMPARABLE: EXIT.tenantsFailed,
  DRIFT: EXIT.found,
  NO_DOWN: EXIT.tenantsFailed,
  // up --phase contract: some tenants lack what comes before; some could not be looked at
  CONTRACT_REFUSED: EXIT.found,
  CONTRACT_UNCHECKED: EXIT.tenantsFailed,
  PLAN_REFUSED: EXIT.tenantsFailed,
  NOT_EMPTY: EXIT.tenantsFailed,
  HISTORY_LOST: EXIT.tenantsFailed,
  ADOPTION: EXIT.tenantsFailed,
  TENANT_STATUS: EXIT.tenantsFailed,
  HISTORY_NEWER: EXIT.tenantsFailed,
  HISTORY_UNTRUSTED: EXIT.tenantsFailed,
  DATABASE_ERROR: EXIT.tenantsFailed,
  CONNECTION_LOST: EXIT.tenantsFailed,
  COMMIT_UNKNOWN: EXIT.tenantsFailed,
  LOCK_TIMEOUT: EXIT.tenantsFailed,
  LOCK_LIMIT: EXIT.tenantsFailed,
  BUSY: EXIT.busy,
  INTERRUPTED: EXIT.interrupted,
  // tenant's life
  TENANT_EXISTS: EXIT.failed,
  DATABASE_EXISTS: EXIT.failed,
  PROVISION_FAILED: EXIT.failed,
  DROP_FAILED: EXIT.failed,
  DATABASE_IN_USE: EXIT.busy,
  // sessions
  NO_CURRENT_TENANT: EXIT.failed,
  UNKNOWN_USER: EXIT.failed,
  TENANT_SUSPENDED: EXIT.failed,
  TENANT_NOT_READY: EXIT.failed,
  TENANT_BEHIND: EXIT.failed,
  SESSION_TIMEOUT: EXIT.busy,
  SESSION_STATE: EXIT.failed,
  TRANSACTION_ABORTED: EXIT.failed,
  FLEET_CLOSED: EXIT.failed,
  // outside programs
  GIT: EXIT.failed,
  EMBEDDED_MISSING: EXIT.failed,
  EMBEDDED_FAILED: EXIT.failed,
  DEMO_FAILED: EXIT.failed,
  BUG: EXIT.failed,
} as const satisfies Record<string, number>;

export type ErrorCode = keyof typeof CODES;

/** What keeps a database from being migrated until somebody has said what is true of it. */
export const REFUSED: readonly ErrorCode[] = [
  'PLAN_REFUSED',
  'NOT_EMPTY',
  'HISTORY_LOST',
  'HISTORY_NEWER',
  'HISTORY_UNTRUSTED',
];

/** Where in a migration file an error lies. Lines and columns count from 1; columns count code points. */
export interface SourceExcerpt {
  file: string;
  line: number;
  column: number;
  /** Up to three lines of the file, the failing one last but for what follows it. */
  lines: { number: number; text: string; failing: boolean }[];
}

/** What PostgreSQL said, for errors that come from it. `code` is the SQLSTATE. */
export interface DatabaseErrorFields {
  code: string;
  message: string;
  detail?: string;
  hint?: string;
  where?: string;
  schema?: string;
  table?: string;
  column?: string;
  constraint?: string;
}

/** One thing that is wrong with a file. */
export interface FileProblem {
  code: ErrorCode;
  /** Its absolute path. */
  file: string;
  /** Lines and columns count from 1; columns count code points. Absent: it is about the whole file, or its name. */
  line?: number;
  column?: number;
  message: string;
  /** What to change. */
  hint?: string;
}

export interface MpmErrorOptions {
  /** What to type or change next. */
  hint?: string;
  /** The thing it happened to: a tenant, a file, a key of the configuration. */
  subject?: string;
  cause?: unknown;
  excerpt?: SourceExcerpt;
  database?: DatabaseErrorFields;
  /** What became of the work: "rolled back", "stopped at statement 3 of 7". */
  aftermath?: string;
  migration?: string;
  /** Everything that is wrong with the files that were read, where that is what the error is about. */
  problems?: readonly FileProblem[];
}

/** An error with a code of {@link CODES}: says what happened, to whom, why, and what to do next. */
export class MpmError extends Error {
  override readonly name = 'MpmError';
  readonly code: ErrorCode;
  readonly hint?: string;
  readonly subject?: string;
  readonly excerpt?: SourceExcerpt;
  readonly database?: DatabaseErrorFields;
  readonly aftermath?: string;
  readonly migration?: string;
  readonly problems?: readonly FileProblem[];

  constructor(code: ErrorCode, message: string, options: MpmErrorOptions = {}) {
    const { cause, ...fields } = options;
    super(redact(message), cause === undefined ? undefined : { cause });
    this.code = code;
    Object.assign(this, redactAll(fields));
  }

  get exit(): number {
    return CODES[this.code];
  }

  /** What `JSON.stringify` shows of it: what an {@link ErrorReport} holds, without its cause. */
  toJSON(): ErrorReport {
    return errorReport(this);
  }

  /** The same error with more said about it; what is already said stays. */
  with(options: MpmErrorOptions): MpmError {
    const { hint, subject, excerpt, database, aftermath, migration, problems, cause } = this;
    const own = { hint, subject, excerpt, database, aftermath, migration, problems, cause };
    const said = Object.fromEntries(Object.entries(own).filter(([, value]) => value !== undefined));
    return new MpmError(this.code, this.message, { ...options, ...said });
  }
}

/** The plain, serialisable form of an error: what reports, events and the ledger carry. No secrets: the
 * cause, which may hold a connection's configuration, is left out. */
export interface ErrorReport extends Omit<MpmErrorOptions, 'cause'> {
  code: ErrorCode;
  message: string;
}

export function errorReport(error: unknown): ErrorReport {
  const known = asMpmError(error);
  const { code, message, hint, subject, excerpt, database, aftermath, migration, problems } = known;
  const all = { code, message, hint, subject, excerpt, database, aftermath, migration, problems };
  return redactAll(all) as ErrorReport;
}

/** For where nothing is begun yet. @throws MpmError INTERRUPTED once the signal is aborted */
export function stopIfAborted(signal: AbortSignal | undefined): void {
  if (!signal?.aborted) return;
  throw new MpmError('INTERRUPTED', 'interrupted before anything was changed', { cause: signal.reason });
}

/** Every text in it redacted, what is undefined left out. */
function redactAll(value: unknown): unknown {
  if (typeof value === 'string') return redact(value);
  if (Array.isArray(value)) return value.map(redactAll);
  if (typeof value !== 'object' || value === null) return value;
  const said = Object.entries(value).filter(([, part]) => part !== undefined);
  return Object.fromEntries(said.map(([key, part]) => [key, redactAll(part)]));
}

/** What a foreign error says, in so many words as are shown. */
export function messageOf(error: unknown): string {
  return bounded(error instanceof Error ? error.message : String(error));
}

/** Anything thrown, as an MpmError; what is not one is a bug of ours and says so. */
export function asMpmError(error: unknown): MpmError {
  if (error instanceof MpmError) return error;
  return new MpmError('BUG', messageOf(error), { cause: error });
}
