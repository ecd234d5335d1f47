import type { Tenant } from '../central/tenant.ts';
import { type ErrorReport, MpmError, asMpmError, errorReport } from '../errors.ts';
import type { Attempt } from '../migration/migrate.ts';
import { isTransient } from '../postgres/sqlstate.ts';
import { idWord } from '../shell-word.ts';
import { isFailure } from './collect.ts';
import type { Trial } from './lanes.ts';
import { bounded } from '../text.ts';
import { pressureOf } from './limit.ts';
import type { TenantRef, TenantResult } from './report.ts';

/** What one attempt at a tenant came to; `retryable` when it passes by itself. */
export interface Tried extends Pick<
  TenantResult,
  'outcome' | 'from' | 'to' | 'applied' | 'pending' | 'notices' | 'reason'
> {
  error?: MpmError;
  retryable: boolean;
  /** How many core migrations its own folder lacks. */
  lacksCore?: number;
  /** Its row as it was worked on, where that is another one than the run began with. */
  tenant?: Tenant;
}

export function skipped(reason: string): Tried {
  return {
    outcome: 'skipped',
    from: null,
    to: null,
    applied: [],
    pending: [],
    notices: [],
    reason,
    retryable: false,
  };
}

export function failedBy(error: unknown): Tried {
  const known = asMpmError(error);
  return {
    outcome: known.code === 'BUSY' ? 'busy' : 'failed',
    from: null,
    to: null,
    applied: [],
    pending: [],
    notices: [],
    error: known,
    retryable: isTransient(known.cause ?? known),
  };
}

/** What the engine's attempt came to, in the words of a run. */
export function triedBy(attempt: Attempt): Tried {
  const { error, ...rest } = attempt;
  // Stopped, or cancelled in a migration: nothing failed, and --failed takes it up again.
  if (error?.code === 'INTERRUPTED') {
    return { ...rest, outcome: 'skipped', reason: error.message, retryable: false };
  }
  return attempt;
}

/** What the lanes want to know of it. */
export function trialOf(tried: Tried): Trial<Tried> {
  const { outcome, retryable, error } = tried;
  return { value: tried, failed: isFailure(outcome), retryable, pressure: pressureOf(error) };
}

/** Two attempts at one tenant as one: the second goes on where the first one ended. */
export function joined(before: Tried | undefined, now: Tried): Tried {
  if (!before || before.applied.length === 0) return now;
  const outcome =
    now.outcome === 'current'
      ? before.applied.at(-1)?.direction === 'down'
        ? 'reverted'
        : 'migrated'
      : now.outcome;
  return { ...now, outcome, from: before.from, applied: [...before.applied, ...now.applied] };
}

const MISSING_HINT = 'Restore it, or mend its row: mpm-migrate tenant show {tenant}';

/** An error in its serialisable form, its hint with this tenant's name. */
export function reportFor(error: MpmError, tenant: Tenant): ErrorReport {
  const report = errorReport(error);
  const hint = report.hint ?? (report.code === 'DATABASE_MISSING' ? MISSING_HINT : undefined);
  return hint ? { ...report, hint: hint.replaceAll('{tenant}', idWord(tenant.id)) } : report;
}

/** What a tenant of a server that is down would have come to: the same as the first one that found it out. */
export function asFirst(tried: Tried, first: Tenant, tenant: Tenant): Tried {
  if (!tried.error) return tried;
  const { code, message, hint, database } = tried.error;
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

export function resultOf(
  tenant: Tenant,
  tried: Tried,
  work: { attempts: number; durationMs: number },
): TenantResult {
  const { retryable: _, lacksCore: __, tenant: row = tenant, error, reason, ...rest } = tried;
  return {
    tenant: refOf(row),
    ...rest,
    ...work,
    ...(error ? { error: reportFor(error, row) } : {}),
    ...(reason === undefined ? {} : { reason }),
  };
}
