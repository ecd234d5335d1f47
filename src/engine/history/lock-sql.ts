import { createHash } from 'node:crypto';
import { GUARD, type HistoryTable, guard, tableName } from './history.ts';

/**
 * Takes the history's lock for the rest of the transaction, or fails at once: a waiter blocked in
 * pg_advisory_lock holds a snapshot and deadlocks with CREATE INDEX CONCURRENTLY (engine 13).
 */
export function lockGuard(history: HistoryTable): string {
  return guard(tryLock(history), GUARD.locked);
}

/**
 * Keeps everybody else from writing to the history for the rest of the transaction, or fails at once. Unlike
 * {@link lockGuard} it takes no snapshot, so that what is read next is the last that was committed, at any isolation
 * level.
 */
export function lockTable(history: HistoryTable): string {
  return `lock table ${tableName(history)} in share row exclusive mode nowait`;
}

/** True when nobody holds the history's lock; holds it until the transaction ends. */
export function tryLock(history: HistoryTable): string {
  return `pg_catalog.pg_try_advisory_xact_lock(${lockKeys(history).join(', ')})`;
}

/**
 * The lock of an attempt that keeps it from one transaction to the next, in a transaction of its own connection: a share of
 * the history's lock, so that the attempt's other transactions can have one as well ({@link lockGuardShared}), once
 * nobody else has any; and the keepers' lock, so that nobody else shares. They fail as {@link lockGuard} does.
 */
export function lockAttempt(history: HistoryTable): string[] {
  const keepers = `pg_catalog.pg_try_advisory_xact_lock(${keepersKeys(history).join(', ')})`;
  return [
    // Two at once: the one without the keepers' lock must not be in the other's way with a share.
    guard(`case when ${keepers} then ${tryShare(history)} end`, GUARD.locked),
    'savepoint alone',
    lockGuard(history),
    'rollback to savepoint alone',
  ];
}

/** As {@link lockGuard}, for a transaction of an attempt that keeps the lock. */
export function lockGuardShared(history: HistoryTable): string {
  return guard(tryShare(history), GUARD.locked);
}

/** True when nobody migrates this database; who else only writes to it may have it as well. Until the transaction ends. */
export function tryLockShared(history: HistoryTable): string {
  const keepers = `pg_catalog.pg_try_advisory_xact_lock_shared(${keepersKeys(history).join(', ')})`;
  return `(case when ${keepers} then ${tryShare(history)} else false end)`;
}

function tryShare(history: HistoryTable): string {
  return `pg_catalog.pg_try_advisory_xact_lock_shared(${lockKeys(history).join(', ')})`;
}

/** The two int4 keys of the advisory lock; such locks are per database already. */
export function lockKeys(history: HistoryTable): [number, number] {
  const hash = createHash('sha256').update(`${history.schema}.${history.table}`).digest();
  return [0x6d_70_6d, hash.readInt32BE(0)];
}

function keepersKeys(history: HistoryTable): [number, number] {
  const [first, second] = lockKeys(history);
  return [first + 1, second];
}
