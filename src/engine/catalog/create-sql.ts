import { identifier } from '../../postgres/quote.ts';
import { displayName, qualified } from './compare.ts';
import {
  behindRows,
  columnSql,
  createCollation,
  createEventTrigger,
  createPolicy,
  createType,
  createView,
  enabled,
  functionSql,
  ownedBy,
  rowSecurity,
  sequenceOptions,
} from './object-sql.ts';
import type { CatalogObject } from './query.ts';
import { rightsFrom } from './rights-sql.ts';
import {
  STEP,
  type Statement,
  comment,
  commentSql,
  ended,
  ownName,
  stepOfConstraint,
  tableOf,
  textOf,
} from './sql-words.ts';

/** All that makes an object, with what goes with it, such as a table's constraints and rights. */
export function create(built: CatalogObject, all: readonly CatalogObject[]): Statement[] {
  const { kind, name, oid, facts } = built;
  const text = (fact: string): string => textOf(facts[fact]);
  const one = (step: number, sql: string): Statement[] => [{ step, at: oid, sql: ended(sql) }];
  switch (kind) {
    case 'schema':
      return [...one(STEP.schema, `create schema ${identifier(name)}`), ...rightsFrom(built, all)];
    case 'extension':
      return one(STEP.schema, `create extension ${identifier(name)} schema ${identifier(text('schema'))}`);
    case 'collation':
      return one(STEP.type, createCollation(built));
    case 'type':
      return [...createType(built), ...rightsFrom(built, all)];
    case 'sequence':
      return [
        ...one(STEP.type, `create sequence ${qualified(built)} ${sequenceOptions(built)}`),
        ...ownedBy(built),
        ...behindRows(built, all),
        ...rightsFrom(built, all),
      ];
    case 'table':
      return createTable(built, all);
    case 'column':
      return [
        ...(facts['not null'] && !(facts['default'] || facts['identity'] || facts['generated'])
          ? [comment(STEP.column, `${displayName(built)}: rows that are there need a value of it`)]
          : []),
        ...one(STEP.column, `alter table ${tableOf(built)} add column ${columnSql(built)}`),
        ...rightsFrom(built, all),
      ];
    case 'view':
      return [...one(STEP.view, createView(built)), ...partsOf(built, all), ...rightsFrom(built, all)];
    case 'function':
      return [...functionSql(built), ...rightsFrom(built, all)];
    case 'constraint':
      return one(
        stepOfConstraint(built),
        `alter table ${tableOf(built)} add constraint ${identifier(name)} ${text('definition')}`,
      );
    case 'index':
      return one(STEP.part, text('definition'));
    case 'trigger':
    case 'rule':
      return [...one(STEP.part, text('definition')), ...enabled(built)];
    case 'policy':
      return one(STEP.part, createPolicy(built));
    case 'event trigger':
      return [...one(STEP.part, createEventTrigger(built)), ...enabled(built)];
    case 'default privileges':
      return rightsFrom(built, all);
    case 'comment':
      return one(STEP.comment, commentSql(built, text('text')));
  }
}

function createTable(built: CatalogObject, all: readonly CatalogObject[]): Statement[] {
  const { facts, oid } = built;
  const there = all
    .filter((each) => each.kind === 'column' && isPartOf(each, built))
    .toSorted((a, b) => a.oid - b.oid);
  const later = there.filter((column) => needsLater(column, built, all));
  const columns = there.map((column) =>
    later.includes(column) ? { ...column, facts: { ...column.facts, default: null } } : column,
  );
  const key = textOf(facts['partition key']);
  const sql = `create ${facts['is'] === 'unlogged' ? 'unlogged ' : ''}table ${qualified(built)} (
  ${columns.map(columnSql).join(',\n  ')}
)${key ? ` partition by ${key}` : ''}`;
  if (facts['is'] === 'foreign' || facts['inherits'] !== null) {
    return [comment(STEP.made, `${qualified(built)} is a foreign table, or inherits: create it by hand`)];
  }
  const sequences = all.filter((each) => {
    const owner = each.kind === 'sequence' ? each.facts['owned by'] : null;
    return Array.isArray(owner) && owner[0] === built.schema && owner[1] === built.name;
  });
  return [
    { step: STEP.made, at: oid, sql: ended(sql) },
    ...later.map(({ name, facts: { default: usual } }) => ({
      step: STEP.column,
      at: 0,
      sql: `alter table ${qualified(built)} alter column ${identifier(name)} set default ${textOf(usual)};`,
    })),
    ...sequences.flatMap((each) => create(each, all)),
    ...partsOf(built, all),
    ...columns.flatMap((each) => rightsFrom(each, all)),
    ...rowSecurity(built),
    ...rightsFrom(built, all),
  ];
}

/** Whether its default calls a function that was created after the table. */
function needsLater({ facts }: CatalogObject, table: CatalogObject, all: readonly CatalogObject[]): boolean {
  const usual = textOf(facts['default']);
  return all.some(
    (each) => each.kind === 'function' && each.oid > table.oid && usual.includes(`${ownName(each)}(`),
  );
}

/** What is made behind a relation, and goes with it. */
function partsOf(relation: CatalogObject, all: readonly CatalogObject[]): Statement[] {
  return all
    .filter((each) => each.kind !== 'column' && isPartOf(each, relation))
    .flatMap((each) => create(each, all));
}

function isPartOf({ schema, parent }: CatalogObject, relation: CatalogObject): boolean {
  return schema === relation.schema && parent === relation.name;
}
