import { identifier, literal } from '../../postgres/quote.ts';
import { type ObjectDifference, qualified } from './compare.ts';
import {
  create,
  columnSql,
  sequenceOptions,
  ownedBy,
  createView,
  createFunction,
  enabled,
  rowSecurity,
} from './create-sql.ts';
import type { CatalogObject } from './query.ts';
import { rightsOf, changeRights, revoke } from './rights-sql.ts';
import {
  STEP,
  type Statement,
  routineWord,
  signature,
  tableOf,
  commentSql,
  textOf,
  ended,
  comment,
  commented,
} from './sql-words.ts';

/**
 * The SQL that makes a database as it was built, in the order in which it is to be run. What would lose data, and what
 * no statement can fix, is a comment.
 * @param all what the migrations make, for what goes with a table that is missing
 */
export function fixingSql(differences: readonly ObjectDifference[], all: readonly CatalogObject[]): string[] {
  const statements = differences.flatMap((difference) => fixOne(difference, all));
  const sorted = statements.toSorted((a, b) => a.step - b.step || a.at - b.at);
  const sql = [...new Set(sorted.map((each) => each.sql))];
  const functions = statements.some(({ step }) => step === STEP.function);
  return functions ? ['set check_function_bodies = off;', ...sql] : sql;
}

function fixOne(difference: ObjectDifference, all: readonly CatalogObject[]): Statement[] {
  const { change, built, found } = difference;
  if (change === 'missing' && built) return create(built, all);
  if (change === 'extra' && found) return remove(found, difference);
  return built && found ? alter(built, found, difference, all) : [];
}

function remove(found: CatalogObject, difference: ObjectDifference): Statement[] {
  const { kind, name } = found;
  const sql = dropSql(found);
  if (sql === undefined) {
    const how: Record<string, string> = {
      table: `drop table ${qualified(found)};`,
      column: `alter table ${tableOf(found)} drop column ${identifier(name)};`,
      sequence: `drop sequence ${qualified(found)};`,
      type: `drop type ${qualified(found)};`,
      collation: `drop collation ${qualified(found)};`,
      schema: `drop schema ${identifier(name)};`,
      extension: `drop extension ${identifier(name)};`,
    };
    return [comment(STEP.drop, `${difference.message}. This loses what is in it: ${how[kind] ?? ''}`)];
  }
  return sql === '' ? revoke(found, rightsOf(found)) : [{ step: STEP.drop, at: orderOfDrop(found), sql }];
}

/** Undefined: it may hold data. Empty: it is rights, which are revoked. */
function dropSql(found: CatalogObject): string | undefined {
  const { kind, name, facts } = found;
  switch (kind) {
    case 'view':
      return `drop ${facts['is'] === 'materialized' ? 'materialized view' : 'view'} ${qualified(found)};`;
    case 'function':
      return `drop ${routineWord(found)} ${signature(found)};`;
    case 'constraint':
      return `alter table ${tableOf(found)} drop constraint ${identifier(name)};`;
    case 'index':
      return `drop index ${qualified(found)};`;
    case 'trigger':
    case 'rule':
    case 'policy':
      return `drop ${kind} ${identifier(name)} on ${tableOf(found)};`;
    case 'event trigger':
      return `drop event trigger ${identifier(name)};`;
    case 'comment':
      return ended(commentSql(found, null));
    case 'default privileges':
      return '';
    default:
      return undefined;
  }
}

/** Triggers, policies and rules, then views from the newest on, then constraints, indexes, functions. */
function orderOfDrop({ kind, facts, oid }: CatalogObject): number {
  const rank = [
    'trigger',
    'policy',
    'rule',
    'event trigger',
    'view',
    'constraint',
    'index',
    'function',
  ].indexOf(kind);
  const later = kind === 'constraint' && !textOf(facts['definition']).startsWith('FOREIGN KEY') ? 0.5 : 0;
  return (rank + later + 1) * 2 ** 33 - oid;
}

function alter(
  built: CatalogObject,
  found: CatalogObject,
  difference: ObjectDifference,
  all: readonly CatalogObject[],
): Statement[] {
  const changed = new Set(difference.facts.map(({ name }) => name));
  const rights = changed.delete('privileges') ? changeRights(built, found) : [];
  if (changed.size === 0) return rights;
  const again = (): Statement[] => {
    const sql = dropSql(found);
    const drop = sql ? [{ step: STEP.drop, at: orderOfDrop(found), sql }] : [];
    return [...drop, ...create(built, all)];
  };
  const unfixed = (what: string): Statement[] => [comment(STEP.column, `${difference.message}: ${what}`)];
  const onlyEnabled = changed.size === 1 && changed.has('enabled');
  switch (built.kind) {
    case 'column':
      return [...alterColumn(built, found, changed, difference), ...rights];
    case 'table':
      return [...alterTable(built, changed, unfixed), ...rights];
    case 'sequence': {
      const sql = `alter sequence ${qualified(built)} ${sequenceOptions(built)};`;
      return [
        { step: STEP.column, at: 0, sql },
        ...(changed.has('owned by') ? ownedBy(built) : []),
        ...rights,
      ];
    }
    case 'type':
      return [...alterType(built, found, changed, unfixed), ...rights];
    case 'view':
      if (changed.has('columns') || changed.has('is') || built.facts['is'] === 'materialized') return again();
      return [
        { step: STEP.view, at: built.oid, sql: ended(createView(built, { replace: true })) },
        ...rights,
      ];
    case 'function':
      if (changed.has('returns') || changed.has('is') || built.facts['is'] === 'aggregate') return again();
      return [{ step: STEP.function, at: built.oid, sql: ended(createFunction(built)) }, ...rights];
    case 'trigger':
    case 'rule':
    case 'event trigger':
      return onlyEnabled ? enabled(built, { always: true }) : again();
    case 'constraint':
      if (changed.has('switched off') && changed.size === 1) {
        const word = built.facts['switched off'] ? 'disable' : 'enable';
        return unfixed(`alter table ${tableOf(built)} ${word} trigger all, as a superuser`);
      }
      return again();
    case 'index':
    case 'policy':
      return again();
    case 'comment':
      return create(built, all);
    case 'extension':
      return [
        {
          step: STEP.column,
          at: 0,
          sql: `alter extension ${identifier(built.name)} set schema ${identifier(textOf(built.facts['schema']))};`,
        },
      ];
    default:
      return [...unfixed('change it by hand'), ...rights];
  }
}

type Unfixed = (what: string) => Statement[];

function alterTable(built: CatalogObject, changed: ReadonlySet<string>, unfixed: Unfixed): Statement[] {
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

function alterColumn(
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
    if (facts['identity']) statements.push(`${head} add generated ${textOf(facts['identity'])} as identity;`);
  }
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
  if (changed.has('not null')) statements.push(`${head} ${facts['not null'] ? 'set' : 'drop'} not null;`);
  return statements.map((sql, at) => ({ step: STEP.column, at, sql }));
}

function alterType(
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
