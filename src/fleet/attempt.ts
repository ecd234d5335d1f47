import type { Tenant } from '../central/list/tenant.ts';
import { type ErrorReport, MpmError, asMpmError, errorReport } from '../errors.ts';
import type { Attempt } from '../engine/apply/migrate.ts';
import { isTransient } from '../postgres/sqlstate.ts';
import { idWord } from '../shell-word.ts';
import { bounded } from '../text.ts';
import type { TenantRef, TenantResult } from './report/report.ts';

/** What an attempt at a tenant came to: the engine's, and what the fleet adds; `D` is the verb's own detail. */
export interface TenantAttempt<D = unknown>
  extends Omit<Attempt, 'outcome'>, Pick<TenantResult, 'outcome' | 'reason'> {
  /** How many core migrations its own folder lacks; absent without one. */
  lacksCore?: number;
  /** Its row as it was worked on, where that is another one than the run began with. */
  tenant?: Tenant;
  /** ms in work, over all attempts, without the waiting between them. */
  durationMs?: number;
  detail?: D;
}

/** An attempt that has applied nothing. */
export function attemptOf(
  about: Partial<TenantAttempt<never>> & Pick<TenantAttempt, 'outcome'>,
): TenantAttempt<never> {
  return { from: null, to: null, applied: [], pending: [], notices: [], retryable: false, ...about };
}

export function skipped(reason: string): TenantAttempt<never> {
  return attemptOf({ outcome: 'skipped', reason });
}

export function failedBy(error: unknown): TenantAttempt<never> {
  const known = asMpmError(error);
  const outcome = known.code === 'BUSY' ? 'busy' : 'failed';
  return attemptOf({ outcome, error: known, retryable: isTransient(known.cause ?? known) });
}

/** What was stopped, or cancelled in a migration, has not failed: `--failed` takes it up again. */
export function withoutInterruption<D>(attempt: TenantAttempt<D>): TenantAttempt<D> {
  const { error, ...rest } = attempt;
  if (error?.code !== 'INTERRUPTED') return attempt;
  return { ...rest, outcome: 'skipped', reason: error.message, retryable: false };
}

const MISSING_HINT = 'Restore it, or mend its row: mpm-migrate tenant show {tenant}';

/** An error in its serialisable form, its hint with this tenant's name. */
export function reportFor(error: MpmError, tenant: Tenant): ErrorReport {
  const report = errorReport(error);
  const hint = report.hint ?? (report.code === 'DATABASE_MISSING' ? MISSING_HINT : undefined);
  return hint ? { ...report, hint: hint.replaceAll('{tenant}', idWord(tenant.id)) } : report;
}

/** What a tenant of a server that is down would have come to: the same as the first one that found it out. */
export function asFirst<D>(attempt: TenantAttempt<D>, first: Tenant, tenant: Tenant): TenantAttempt<D> {
  if (!attempt.error) return { ...attempt, durationMs: 0 };
  const { code, message, hint, database } = attempt.error;
  const error = new MpmError(code, message.replaceAll(first.database, tenant.database), {
    subject: tenant.database,
    ...(hint ? { hint: hint.replaceAll(first.database, tenant.database) } : {}),
    ...(database ? { database } : {}),
  });
  return { ...failedBy(error), notices: ['its server does not answer: it was not tried by itself'] };
}

export function refOf({ id, name, database, server }: Tenant): TenantRef {
  // Whoever registers may call himself a megabyte.
  return { id, name: name.length > 1000 ? bounded(name) : name, database, server };
}

/** An attempt as events, ledger, and report have it. */
export function resultOf(tenant: Tenant, attempt: TenantAttempt, attempts: number): TenantResult {
  const { tenant: row = tenant, outcome, from, to, applied, pending, notices } = attempt;
  const { error, reason, durationMs = 0 } = attempt;
  return {
    tenant: refOf(row),
    outcome,
    from,
    to,
    applied,
    pending,
    notices,
    attempts,
    durationMs,
    ...(error ? { error: reportFor(error, row) } : {}),
    ...(reason === undefined ? {} : { reason }),
  };
}
