import { MpmError } from '../errors.ts';
import { literal } from '../postgres/quote.ts';
import { type HistoryTable, tableName } from './history.ts';
import { versionOf } from './name.ts';

/** How far a database has come, and whether a certain migration is in it. */
export interface Reached {
  /** The newest one, by its name; null without any. */
  head: string | null;
  there: boolean;
}

/**
 * One {@link Reached}: whether the migration itself is there. A newer head does not tell, because a tenant's own
 * migrations have numbers as well, and its folder may lack what core has. The history must be there.
 * @param atLeast a version, or the whole name of a migration
 * @throws MpmError USAGE when that begins with no number
 */
export function selectReached(history: HistoryTable, atLeast: string): string {
  const version = versionOf(atLeast);
  if (!version) {
    throw new MpmError('USAGE', `atLeast: ${JSON.stringify(atLeast)} is neither a version nor a migration`, {
      hint: "For instance: { atLeast: '20260820140000' }",
    });
  }
  const table = tableName(history);
  const settled = `state in ('applied', 'baseline')`;
  const wanted =
    version === atLeast
      ? `version::pg_catalog.numeric = ${literal(version)}::pg_catalog.numeric`
      : `name = ${literal(atLeast)}`;
  return `select (select name from ${table} where ${settled} order by version::pg_catalog.numeric desc, name collate "C" desc limit 1) as head,
  exists (select from ${table} where ${settled} and ${wanted}) as there`;
}
