import type { CatalogObject, Fact } from './query.ts';

/** What holds expressions, which each version of PostgreSQL writes in its own way. */
const EXPRESSIONS: Partial<Record<CatalogObject['kind'], readonly string[]>> = {
  column: ['default', 'generated'],
  collation: ['locale', 'rules'],
  type: ['default', 'constraints'],
  view: ['query'],
  function: ['definition'],
  rule: ['definition'],
  policy: ['using', 'check'],
};

/** Of these the definition is an expression, or holds one, only in some cases. */
const HOLDS_ONE: Partial<Record<CatalogObject['kind'], RegExp>> = {
  constraint: /^(?:CHECK|EXCLUDE)/,
  index: / WHERE | USING \w+ \([^)]*\(/,
  trigger: / WHEN \(/,
};

/** The facts of an object that two versions of PostgreSQL say alike. */
export function factsOfAnyVersion({ kind, facts }: CatalogObject): Record<string, Fact> {
  const left = new Set(EXPRESSIONS[kind] ?? []);
  const { definition, privileges } = facts;
  if (typeof definition === 'string' && HOLDS_ONE[kind]?.test(definition)) left.add('definition');
  const kept = Object.fromEntries(Object.entries(facts).filter(([name]) => !left.has(name)));
  // PostgreSQL 17 has this one, and what granted all before then did not grant it.
  const isOld = (right: string): boolean => !/ MAINTAIN(?: WITH GRANT OPTION)?$/.test(right);
  return Array.isArray(privileges) ? { ...kept, privileges: privileges.filter(isOld) } : kept;
}
