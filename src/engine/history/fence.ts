import { literal } from '../../postgres/quote.ts';
import { isServerError, SQLSTATE } from '../../postgres/sqlstate.ts';
import { UP } from '../source/checksum.ts';
import { GUARD, guard, type HistoryTable, tableName } from './history.ts';
import type { HistoryRow } from './state.ts';

/** Where a history stands: what a plan is made from. */
export interface HistoryPosition {
  /** Greatest position; 0 when empty. */
  last: number;
  fingerprint: string;
}

/** The fingerprint as the server computes it over the rows. */
const FINGERPRINT = `encode(sha256(convert_to(coalesce(string_agg(name || ' ' || "left"(checksum, ${UP})
  || case when state in ('applied', 'baseline') then '' else ' ' || state end || e'\\n', '' order by position), ''), 'UTF8')), 'hex')`;

/**
 * Fails unless the history is still the one that was read (engine 38). A statement behind the one that takes the
 * lock: what that one sees was there before the lock was had.
 */
export function unmoved(history: HistoryTable, { last, fingerprint }: HistoryPosition): string {
  const same = `coalesce(max(position), 0) = ${last} and ${FINGERPRINT} = ${literal(fingerprint)}`;
  return guard(`(select ${same} from ${tableName(history)})`, GUARD.moved);
}

/**
 * As {@link unmoved}, of a history in which a migration has been claimed since, by the backend with that pid: its row
 * counts as it was before, if it was there.
 */
export function unmovedBut(
  history: HistoryTable,
  { last, fingerprint }: HistoryPosition,
  { name, was, pid }: { name: string; was: HistoryRow | undefined; pid: number },
): string {
  const table = tableName(history);
  const before = was
    ? ` union all select ${was.position}, ${literal(name)}, ${literal(was.checksum)}, ${literal(was.state)}`
    : '';
  const rows = `(select position, name, checksum, state from ${table} where name <> ${literal(name)}${before}) as h`;
  const same = `coalesce(max(position), 0) = ${last} and ${FINGERPRINT} = ${literal(fingerprint)}`;
  const ours = `exists (select from ${table} where name = ${literal(name)} and state = 'running' and backend_pid = ${pid})`;
  return guard(`${ours} and (select ${same} from ${rows})`, GUARD.moved);
}

/** Whether a guard of ours failed, and not something else: the lock was not had, or the history was moved on. */
export function isGuard(error: unknown): boolean {
  return (
    isServerError(error) &&
    error.code === SQLSTATE.invalidText &&
    [GUARD.locked, GUARD.moved].some((text) => error.message.includes(text))
  );
}

/**
 * As {@link unmoved}, of the last row alone. Whatever is applied is entered behind it, and whatever is taken back is
 * taken from there: so between two migrations of one message this is enough.
 */
export function headIs(
  history: HistoryTable,
  position: number,
  row: { name: string; checksum: string },
): string {
  const same = `position = ${position} and name = ${literal(row.name)} and checksum = ${literal(row.checksum)} and state = 'applied'`;
  return guard(`(select ${same} from ${tableName(history)} order by position desc limit 1)`, GUARD.moved);
}

/** As {@link unmoved}, of how far a migration has come: another attempt at it may have failed where this one did. */
export function rowIs(history: HistoryTable, row: HistoryRow): string {
  const same = `statements_done = ${row.statementsDone} and started_at >= ${literal(row.startedAt)}::pg_catalog.timestamptz and started_at < ${literal(row.startedAt)}::pg_catalog.timestamptz + interval '1 ms'`;
  return guard(`(select ${same} from ${tableName(history)} where name = ${literal(row.name)})`, GUARD.moved);
}

/** Fails while another session of ours is in the database: between two messages it holds no lock. */
export function nobodyElse(): string {
  const others = `select from pg_catalog.pg_stat_activity where datname = current_database()
  and pid <> pg_backend_pid() and application_name like 'mpm-migrate/%'`;
  return guard(`not exists (${others})`, GUARD.moved);
}
