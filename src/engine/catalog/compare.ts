import { identifier } from '../../postgres/quote.ts';
import { factsOfAnyVersion } from './across-versions.ts';
import type { CatalogKind, CatalogObject, Fact } from './query.ts';

/** One object that is not as the migrations make it. */
export interface Difference {
  kind: CatalogKind;
  /** As it is named in messages: `meters.note`; the schema `public` is left out. */
  object: string;
  change: 'missing' | 'extra' | 'changed';
  /** Of a changed one: what differs of it. */
  facts: FactDifference[];
  /** In one line. */
  message: string;
}

export interface FactDifference {
  name: string;
  /** As the migrations make it. */
  built: Fact;
  /** As it is. */
  found: Fact;
}

/** A difference with the objects themselves, for who fixes it. */
export interface ObjectDifference extends Difference {
  built?: CatalogObject | undefined;
  found?: CatalogObject | undefined;
}

/** A database's objects, and its name, which they may mention. */
export interface Catalog {
  database: string;
  objects: readonly CatalogObject[];
}

/**
 * What differs, ordered by table. Parts of a table that is missing, or extra, go with it. What PostgreSQL writes
 * differently of the same thing is no difference.
 * @param ignore patterns of what tenants may own: `audit_*`, `reports.*`, `index:meters_*`
 * @param sameVersion false: what versions of PostgreSQL write in their own way is not compared
 */
export function compareCatalogs(
  built: Catalog,
  found: Catalog,
  { ignore = [], sameVersion = true }: { ignore?: readonly string[]; sameVersion?: boolean } = {},
): ObjectDifference[] {
  const isIgnored = ignoring(ignore);
  const factsOf = sameVersion ? ({ facts }: CatalogObject) => facts : factsOfAnyVersion;
  const there = byKey(found.objects);
  const wanted = byKey(built.objects);
  const missing = built.objects.filter((each) => !there.has(keyOf(each)));
  const extra = found.objects.filter((each) => !wanted.has(keyOf(each)));
  const renamed = namedByPostgres(missing, extra, factsOf);
  const isWhole = (each: CatalogObject, others: Map<string, CatalogObject>): boolean => {
    const whole = wholeOf(each);
    return !whole || (['table', 'view'] as const).some((kind) => others.has(keyOf({ ...whole, kind })));
  };

  const differences: Omit<ObjectDifference, 'message'>[] = [
    ...missing
      .filter((each) => !renamed.has(each) && isWhole(each, there))
      .map((each) => ({ ...about(each, 'missing'), facts: [], built: each })),
    ...extra
      .filter((each) => !renamed.has(each) && isWhole(each, wanted))
      .map((each) => ({ ...about(each, 'extra'), facts: [], found: each })),
    ...built.objects.flatMap((each) => {
      const other = there.get(keyOf(each));
      const facts = other
        ? factsThatDiffer(
            each.kind,
            { facts: factsOf(each), database: built.database },
            { facts: factsOf(other), database: found.database },
          )
        : [];
      return facts.length ? [{ ...about(each, 'changed'), facts, built: each, found: other }] : [];
    }),
  ];
  return differences
    .filter((each) => !isIgnored((each.built ?? each.found) as CatalogObject))
    .map((each) => ({ ...each, message: describeDifference(each) }))
    .sort((a, b) => compareText(a.object, b.object) || compareText(a.kind, b.kind));
}

function describeDifference({ kind, object, change, facts }: Omit<Difference, 'message'>): string {
  const what = kind === 'column' ? object : `${kind} ${object}`;
  if (change === 'missing') return `${what} is missing`;
  if (change === 'extra') return `${what} is extra: no migration makes it`;
  const [first] = facts;
  if (facts.length === 1 && first && isShort(first.built) && isShort(first.found))
    return `${what}: ${first.name} is ${shown(first.found)}, not ${shown(first.built)}`;
  return `${what} differs: ${facts.map(({ name }) => name).join(', ')}`;
}

/** What is compared, without the objects. */
export function plainDifference({ kind, object, change, facts, message }: Difference): Difference {
  return { kind, object, change, facts, message };
}

const SHORT = 60;

function isShort(fact: Fact): boolean {
  return shown(fact).length <= SHORT && !shown(fact).includes('\n');
}

function shown(fact: Fact): string {
  if (fact === null) return 'nothing';
  if (Array.isArray(fact)) return fact.length ? fact.join(', ') : 'nothing';
  return typeof fact === 'boolean' ? (fact ? 'yes' : 'no') : fact;
}

function about(each: CatalogObject, change: Difference['change']): Omit<Difference, 'facts' | 'message'> {
  return { kind: each.kind, object: displayName(each), change };
}

/** `meters.note`, `audit.log`; quoted nowhere, because it is for people. */
export function displayName({ kind, schema, parent, name }: CatalogObject): string {
  if (kind === 'schema') return name;
  const parts = [schema === 'public' ? '' : schema, kind === 'index' ? '' : parent, name];
  return parts.filter(Boolean).join('.');
}

/** The relation that goes, and comes, with it. */
function wholeOf(each: CatalogObject): Omit<CatalogObject, 'kind' | 'facts' | 'oid'> | undefined {
  if (each.parent !== '') return partOf(each);
  const owner = each.kind === 'sequence' ? each.facts['owned by'] : undefined;
  const [schema, name] = Array.isArray(owner) ? owner : [];
  return schema === undefined || name === undefined ? undefined : { schema, parent: '', name };
}

function partOf({ schema, parent }: CatalogObject): { schema: string; parent: string; name: string } {
  return { schema, parent: '', name: parent };
}

function keyOf(each: Pick<CatalogObject, 'kind' | 'schema' | 'parent' | 'name'>): string {
  // An index has a schema's name; but one that is on another table is another one.
  return [each.kind, each.schema, each.parent, each.name].join('\0');
}

function byKey(objects: readonly CatalogObject[]): Map<string, CatalogObject> {
  return new Map(objects.map((each) => [keyOf(each), each]));
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** Names that PostgreSQL makes up for a constraint, which versions and renamed tables make differently. */
const MADE_UP = /_(?:pkey|key|fkey|check|excl)\d*$/;

/** Constraints that are the same but for such a name. */
function namedByPostgres(
  missing: readonly CatalogObject[],
  extra: readonly CatalogObject[],
  factsOf: (object: CatalogObject) => CatalogObject['facts'],
): ReadonlySet<CatalogObject> {
  const found = new Set<CatalogObject>();
  const candidates = extra.filter(({ kind, name }) => kind === 'constraint' && MADE_UP.test(name));
  for (const each of missing) {
    if (each.kind !== 'constraint' || !MADE_UP.test(each.name)) continue;
    const same = candidates.find(
      (other) =>
        !found.has(other) &&
        other.schema === each.schema &&
        other.parent === each.parent &&
        JSON.stringify(factsOf(other)) === JSON.stringify(factsOf(each)),
    );
    if (same) found.add(each).add(same);
  }
  return found;
}

/** The facts of an object, and the database in which it is, which they may mention. */
type Facts = Pick<CatalogObject, 'facts'> & Pick<Catalog, 'database'>;

function factsThatDiffer(kind: CatalogKind, built: Facts, found: Facts): FactDifference[] {
  const names = new Set([...Object.keys(built.facts), ...Object.keys(found.facts)]);
  // A column that is no identity has no such sequence.
  if (built.facts['identity'] !== found.facts['identity'])
    for (const name of ['sequence', 'privileges of its sequence']) names.delete(name);
  return [...names].flatMap((name) => {
    const [one, other] = [built.facts[name] ?? null, found.facts[name] ?? null];
    if (name === 'columns' && kind === 'table') return orderOf(one, other);
    const same =
      JSON.stringify(one) === JSON.stringify(other) ||
      normal(one, built.database) === normal(other, found.database);
    return same ? [] : [{ name, built: one, found: other }];
  });
}

/** Which columns there are is told of them; here only of their order. Gaps that dropped ones leave are none. */
function orderOf(built: Fact, found: Fact): FactDifference[] {
  const [one, other] = [built, found].map((fact) => (Array.isArray(fact) ? fact : []));
  if (!one || !other) return [];
  const both = (names: readonly string[], others: readonly string[]) =>
    names.filter((name) => others.includes(name));
  if (both(one, other).join('\0') === both(other, one).join('\0')) return [];
  return [{ name: 'order of columns', built: one, found: other }];
}

/** What a restored dump writes in another way, and what is named for its database. */
function normal(fact: Fact, database: string): string {
  const text = JSON.stringify(fact);
  return text
    .replaceAll(
      /\(ARRAY\[((?:'(?:[^']|'')*'::(?:character varying|bpchar)(?:, )?)+)\]\)::text\[\]/g,
      (_, list: string) => {
        const each = list.replaceAll(
          /'(?:[^']|'')*'::(?:character varying|bpchar)/g,
          (item) => `(${item})::text`,
        );
        return `ARRAY[${each}]`;
      },
    )
    .replaceAll(new RegExp(`(?<![\\p{L}\\p{N}_])${escaped(database)}(?![\\p{L}\\p{N}])`, 'gu'), '…');
}

function escaped(text: string): string {
  return text.replaceAll(/[\\^$.*+?()[\]{}|/]/g, String.raw`\$&`);
}

/** A pattern means an object, and all that is part of it; `kind:` in front narrows it. */
function ignoring(patterns: readonly string[]): (object: CatalogObject) => boolean {
  const parsed = patterns.map((pattern) => {
    const [, kind, name = ''] = /^(?:([a-z ]+):)?(.*)$/s.exec(pattern) ?? [];
    const expression = new RegExp(`^${name.split('*').map(escaped).join('.*')}$`, 's');
    return { kind, expression };
  });
  return (object) => {
    const { schema, parent, name } = object;
    const names = [displayName(object), `${schema}.${name}`, `${schema}.${parent}.${name}`];
    if (parent)
      names.push(displayName({ ...object, kind: 'table', ...partOf(object) }), `${schema}.${parent}`);
    return parsed.some(
      ({ kind, expression }) =>
        (kind === undefined || kind === object.kind) && names.some((each) => expression.test(each)),
    );
  };
}

/** For SQL. */
export function qualified({ schema, name }: Pick<CatalogObject, 'schema' | 'name'>): string {
  return `${identifier(schema)}.${identifier(name)}`;
}
