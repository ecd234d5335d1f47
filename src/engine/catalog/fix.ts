import { identifier } from '../../postgres/quote.ts';
import { alterColumn, alterTable, alterType } from './alter-sql.ts';
import { displayName, type ObjectDifference, qualified } from './compare.ts';
import { create } from './create-sql.ts';
import { createView, enabled, functionSql, ownedBy, sequenceOptions } from './object-sql.ts';
import type { CatalogObject } from './query.ts';
import { renameBack } from './rename.ts';
import { rightsOf, changeRights, revoke } from './rights-sql.ts';
import {
  STEP,
  type Statement,
  comment,
  commentSql,
  ended,
  ownName,
  routineWord,
  signature,
  tableOf,
  textOf,
} from './sql-words.ts';

/**
 * The SQL that makes a database as it was built, in the order in which it is to be run. What would lose data, and what
 * no statement can fix, is a comment.
 * @param all what the migrations make, for what goes with a table that is missing
 */
export function fixingSql(differences: readonly ObjectDifference[], all: readonly CatalogObject[]): string[] {
  const { statements: renames, rest } = renameBack(differences);
  const statements = [
    ...renames,
    ...rest.flatMap((difference) => fixOne(difference, all)),
    ...moved(rest, all),
  ];
  const sorted = statements.toSorted((a, b) => a.step - b.step || a.at - b.at);
  const sql = [...new Set(sorted.map((each) => each.sql))];
  const functions = rest.some(({ kind, change }) => kind === 'function' && change !== 'extra');
  return functions ? ['set check_function_bodies = off;', ...sql] : sql;
}

function fixOne(difference: ObjectDifference, all: readonly CatalogObject[]): Statement[] {
  const { change, built, found } = difference;
  if (change === 'missing' && built) return create(built, all);
  if (change === 'extra' && found) return remove(found, difference);
  return built && found ? alter(built, found, difference, all) : [];
}

/** A column that is added comes behind the others. */
function moved(differences: readonly ObjectDifference[], all: readonly CatalogObject[]): Statement[] {
  const missing = new Set(
    differences.flatMap(({ change, built }) => (change === 'missing' && built ? [built] : [])),
  );
  const isBefore = (one: CatalogObject, other: CatalogObject): boolean =>
    one.schema === other.schema && one.parent === other.parent && one.oid < other.oid;
  return all.flatMap((column) => {
    if (column.kind !== 'column' || !missing.has(column)) return [];
    if (!all.some((each) => each.kind === 'column' && isBefore(column, each) && !missing.has(each)))
      return [];
    const text = `${displayName(column)} comes behind the other columns of its table: no statement changes their order`;
    return [comment(STEP.column, text)];
  });
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
  const step = kind === 'function' ? STEP.lateDrop : STEP.drop;
  return sql === '' ? revoke(found, rightsOf(found)) : [{ step, at: orderOfDrop(found), sql }];
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
    return [...drop, ...create(built, all), ...commentsOf(built, all)];
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
      return [...functionSql(built), ...rights];
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

/** What is made again has lost its comments: those whose name ends as its own, where arguments may follow. */
function commentsOf(built: CatalogObject, all: readonly CatalogObject[]): Statement[] {
  const name = ownName(built);
  const place =
    built.parent && built.kind !== 'index'
      ? `${name} on ${built.schema}.${built.parent}`
      : `${built.schema}.${name}`;
  return all
    .filter(
      (each) =>
        each.kind === 'comment' &&
        each.name
          .replaceAll('"', '')
          .replace(/\(.*\)$/s, '')
          .endsWith(` ${place}`),
    )
    .flatMap((each) => create(each, all));
}
