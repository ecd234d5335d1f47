import type { Migration } from '../migration.ts';
import type { TableImpact } from '../impact/impact.ts';
import { sizeText } from '../../size.ts';
import { lastingOf, mentioned } from './lasting.ts';

/** From which migration on nothing was rehearsed. */
export interface Unrehearsed {
  /** The first of them. */
  name: string;
  reason: string;
  /** It and those behind it. */
  count: number;
}

/**
 * Why a migration can't be rehearsed; undefined when it can.
 * @param names what does something that no rollback takes back; those that the migration makes are added
 */
export async function whyNot(
  { up }: Migration,
  { withModules }: { withModules: boolean },
  names: Set<string>,
): Promise<string | undefined> {
  if (!up.options.transaction) return 'runs outside a transaction';
  if (up.kind === 'module')
    return withModules ? undefined : 'is TypeScript, which may act outside the database: add --modules';
  if (up.kind === 'foreign') return `is ${up.tool}'s`;
  const { what, makes } = await lastingOf(up);
  const used = what ?? mentioned(up.sql, names);
  if (used !== undefined) return `does what doesn't roll back: ${used}`;
  for (const name of makes) names.add(name);
  return undefined;
}

/** Why a database is left alone: a large table would be written anew, or may be. */
export function tooLarge(rewritten: readonly TableImpact[], maxSize: number): string | undefined {
  const [largest] = rewritten.filter(({ bytes }) => bytes > maxSize).sort((a, b) => b.bytes - a.bytes);
  if (!largest) return undefined;
  const { migration, table, bytes, rewrites } = largest;
  const how = rewrites === 'yes' ? 'rewrites' : 'may rewrite';
  return `${how} ${table}, ${sizeText(bytes)}, more than ${sizeText(maxSize)} (${migration}): raise --max-size`;
}
