import { identifier, literal } from '../../postgres/quote.ts';
import { type ObjectDifference, qualified } from './compare.ts';
import { columnSql, identityOptions, rowSecurity } from './object-sql.ts';
import type { CatalogObject } from './query.ts';
import { STEP, type Statement, comment, commented, tableOf, textOf } from './sql-words.ts';

type Unfixed = (what: string) => Statement[];

/** What makes a table as it was built, but for its parts. */
export function alterTable(
  built: CatalogObject,
  changed: ReadonlySet<string>,
  unfixed: Unfixed,
): Statement[] {
  const { facts } = built;
  return [...changed].flatMap((fact) => {
    if (fact === 'row security' || fact === 'forced row security') return rowSecurity(built, [fact]);
    if (fact === 'is' && facts['is'] !== 'foreign') {
      const word = facts['is'] === 'unlogged' ? 'unlogged' : 'logged';
      return [{ step: STEP.column, at: 0, sql: `alter table ${qualified(built)} set ${word};` }];
    }
    return unfixed(fact === 'order of columns' ? 'no statement changes it' : 'change it by hand');
  });
}

/** Types between which nothing is lost that the server does not refuse to lose. */
const KEEPING: readonly RegExp[] = [
  /^(?:smallint|integer|bigint)$/,
  /^(?:text|character varying(?:\(\d+\))?)( collate .*)?$/,
];

/** What makes a column as it was built; what can lose data is a comment. */
export function alterColumn(
  built: CatalogObject,
  found: CatalogObject,
  changed: ReadonlySet<string>,
  difference: ObjectDifference,
): Statement[] {
  const { facts, name } = built;
  const head = `alter table ${tableOf(built)} alter column ${identifier(name)}`;
  if (changed.has('generated')) {
    const again = `alter table ${tableOf(built)} drop column ${identifier(name)}; alter table ${tableOf(built)} add column ${columnSql(built)};`;
    return [comment(STEP.column, `${difference.message}. This loses what is in it: ${again}`)];
  }
  const statements: string[] = [];
  const expression = textOf(facts['default']);
  if (changed.has('identity')) {
    if (found.facts['identity']) statements.push(`${head} drop identity;`);
    if (facts['identity'])
      statements.push(
        `${head} add generated ${textOf(facts['identity'])} as identity${identityOptions(facts)};`,
      );
  } else if (changed.has('sequence'))
    statements.push(`${head} ${sequenceChanges(textOf(facts['sequence']))};`);
  if (changed.has('type')) {
    const [to, from] = [textOf(facts['type']), textOf(found.facts['type'])];
    const plain = (type: string) => type.replace(/ collate .*$/s, '');
    const keeps = plain(to) === plain(from) || KEEPING.some((family) => family.test(to) && family.test(from));
    // Without a word a column takes the collation of its type.
    const sql = `${head} type ${to};`;
    // What stands in the way of another type is set again behind it.
    const resets = found.facts['default'] !== null && keeps;
    if (resets) statements.push(`${head} drop default;`);
    statements.push(keeps ? sql : commented(`${difference.message}. This can lose data: ${sql}`));
    if (resets && !changed.has('default')) statements.push(`${head} set default ${expression};`);
  }
  if (changed.has('default'))
    statements.push(expression ? `${head} set default ${expression};` : `${head} drop default;`);
  const rights = facts['privileges of its sequence'];
  if (changed.has('privileges of its sequence') && rights !== null)
    statements.push(commented(`${difference.message}: grant or revoke it by hand, on its sequence`));
  if (changed.has('not null')) statements.push(`${head} ${facts['not null'] ? 'set' : 'drop'} not null;`);
  return statements.map((sql, at) => ({ step: STEP.column, at, sql }));
}

/** What a sequence is to be, as `start 1 increment 5 … cache 1 cycle`, where each is set by itself. */
function sequenceChanges(options: string): string {
  const cycle = options.endsWith(' cycle') ? 'cycle' : 'no cycle';
  return [...options.matchAll(/\w+ -?\d+/g), [cycle]].map(([option]) => `set ${option}`).join(' ');
}

/** Labels that an enum lacks; another change of a type is made by hand. */
export function alterType(
  built: CatalogObject,
  found: CatalogObject,
  changed: ReadonlySet<string>,
  unfixed: Unfixed,
): Statement[] {
  const [labels, there] = [built, found].map(({ facts }) =>
    Array.isArray(facts['labels']) ? facts['labels'] : [],
  );
  if (!labels || !there) return [];
  const onlyMore =
    changed.size === 1 &&
    changed.has('labels') &&
    there.join('\0') === labels.filter((each) => there.includes(each)).join('\0');
  if (!onlyMore) return unfixed('change it by hand');
  return labels.flatMap((label, at) => {
    if (there.includes(label)) return [];
    const before = labels[at - 1];
    const place = before === undefined ? `before ${literal(there[0] ?? '')}` : `after ${literal(before)}`;
    return [
      { step: STEP.type, at, sql: `alter type ${qualified(built)} add value ${literal(label)} ${place};` },
    ];
  });
}
