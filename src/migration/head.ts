import { MpmError } from '../errors.ts';
import { type HistoryTable, tableName } from './history.ts';
import { compareNames, compareVersions, versionOf } from './name.ts';

/** The newest migration that is in a database, by name; its history must be there. */
export function selectHead(history: HistoryTable): string {
  return `select name from ${tableName(history)} where state in ('applied', 'baseline')
order by version::numeric desc, name collate "C" desc limit 1`;
}

/**
 * Whether a head is older than what is asked for: a version, or the whole name of a migration.
 * @throws MpmError USAGE when that begins with no number
 */
export function isOlder(head: string | null, atLeast: string): boolean {
  const version = versionOf(atLeast);
  if (!version) {
    throw new MpmError('USAGE', `atLeast: ${JSON.stringify(atLeast)} is neither a version nor a migration`, {
      hint: "For instance: { atLeast: '20260820140000' }",
    });
  }
  if (head === null) return true;
  return version === atLeast
    ? compareVersions(versionOf(head), version) < 0
    : compareNames(head, atLeast) < 0;
}
