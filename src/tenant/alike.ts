import { volatileOnes } from '../migration/volatile.ts';
import type { Blueprint } from './blueprint.ts';

/** What all new tenants get the same of, though it looks as if each should have its own; undefined when there is none. */
export function whatIsAlike({
  shared,
}: Blueprint): { message: string; remedy: string; names: string[] } | undefined {
  const found = volatileOnes([...shared.migrations, ...shared.seeds]);
  const [first] = found;
  if (!first) return undefined;
  const shown = found.slice(0, SHOWN).map(({ file, calls }) => `${file} (${calls.join(', ')})`);
  const more = found.length > SHOWN ? ` and ${found.length - SHOWN} more` : '';
  const except = found.map(({ migration }) => `'${migration.name}'`);
  return {
    message: `new tenants are copies, and have the same values of ${shown.join(', ')}${more}`,
    remedy: `Where each needs its own: templates: { except: [${except.join(', ')}] } in the configuration, or -- mpm:per-tenant as the first line of the file; where not: -- mpm:shared.`,
    names: found.map(({ file }) => file),
  };
}

/** So many are named in a line. */
const SHOWN = 5;
