import { identifier, literal } from '../../postgres/quote.ts';
import { qualified } from './compare.ts';
import type { CatalogObject } from './query.ts';
import { rightsFrom } from './rights-sql.ts';
import {
  STEP,
  type Statement,
  signature,
  stepOfConstraint,
  tableOf,
  commentSql,
  textOf,
  ended,
  comment,
} from './sql-words.ts';

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
        ...rightsFrom(built, all),
      ];
    case 'table':
      return createTable(built, all);
    case 'column':
      return [
        ...one(STEP.column, `alter table ${tableOf(built)} add column ${columnSql(built)}`),
        ...rightsFrom(built, all),
      ];
    case 'view':
      return [...one(STEP.view, createView(built)), ...partsOf(built, all), ...rightsFrom(built, all)];
    case 'function':
      return [...one(STEP.function, createFunction(built)), ...rightsFrom(built, all)];
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
  const columns = all
    .filter((each) => each.kind === 'column' && isPartOf(each, built))
    .toSorted((a, b) => a.oid - b.oid);
  const key = textOf(facts['partition key']);
  const sql = `create ${facts['is'] === 'unlogged' ? 'unlogged ' : ''}table ${qualified(built)} (
  ${columns.map(columnSql).join(',\n  ')}
)${key ? ` partition by ${key}` : ''}`;
  if (facts['is'] === 'foreign' || facts['inherits'] !== null) {
    return [comment(STEP.table, `${qualified(built)} is a foreign table, or inherits: create it by hand`)];
  }
  const sequences = all.filter((each) => {
    const owner = each.kind === 'sequence' ? each.facts['owned by'] : null;
    return Array.isArray(owner) && owner[0] === built.schema && owner[1] === built.name;
  });
  return [
    { step: STEP.table, at: oid, sql: ended(sql) },
    ...sequences.flatMap((each) => create(each, all)),
    ...partsOf(built, all),
    ...columns.flatMap((each) => rightsFrom(each, all)),
    ...rowSecurity(built),
    ...rightsFrom(built, all),
  ];
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

export function columnSql({ name, facts }: CatalogObject): string {
  const { type, identity, generated } = facts;
  const usual = textOf(facts['default']);
  return [
    identifier(name),
    textOf(type),
    ...(identity ? [`generated ${textOf(identity)} as identity`] : []),
    ...(generated ? [generatedSql(textOf(generated))] : []),
    ...(usual ? [`default ${usual}`] : []),
    ...(facts['not null'] ? ['not null'] : []),
  ].join(' ');
}

function generatedSql(text: string): string {
  const [, expression = '', kind = 'stored'] = /^(.*) (stored|virtual)$/s.exec(text) ?? [];
  return `generated always as (${expression}) ${kind}`;
}

function createCollation(built: CatalogObject): string {
  const { facts } = built;
  const provider = { c: 'libc', i: 'icu', b: 'builtin' }[textOf(facts['provider'])] ?? 'libc';
  const locale = literal(textOf(facts['locale']));
  const place =
    provider === 'libc'
      ? `lc_collate = ${locale}, lc_ctype = ${literal(textOf(facts['ctype']))}`
      : `locale = ${locale}`;
  const rules = facts['rules'] ? `, rules = ${literal(textOf(facts['rules']))}` : '';
  const loose = facts['deterministic'] ? '' : ', deterministic = false';
  return `create collation ${qualified(built)} (provider = ${provider}, ${place}${loose}${rules})`;
}

function createType(built: CatalogObject): Statement[] {
  const { facts, oid } = built;
  const list = (fact: string): string[] => (Array.isArray(facts[fact]) ? facts[fact] : []);
  const bodies: Record<string, () => string> = {
    enum: () => `type ${qualified(built)} as enum (${list('labels').map(literal).join(', ')})`,
    composite: () => `type ${qualified(built)} as (${list('columns').join(', ')})`,
    range: () => `type ${qualified(built)} as range (subtype = ${textOf(facts['subtype'])})`,
    domain: () =>
      [
        `domain ${qualified(built)} as ${textOf(facts['base'])}`,
        ...(facts['default'] ? [`default ${textOf(facts['default'])}`] : []),
        ...(facts['not null'] ? ['not null'] : []),
        ...list('constraints').map((each) => `constraint ${each}`),
      ].join(' '),
  };
  const body = bodies[textOf(facts['is'])];
  return body ? [{ step: STEP.type, at: oid, sql: ended(`create ${body()}`) }] : [];
}

export function sequenceOptions({ facts }: CatalogObject): string {
  const text = (fact: string): string => textOf(facts[fact]);
  return `as ${text('type')} increment ${text('increment')} minvalue ${text('minimum')} maxvalue ${text('maximum')} start ${text('start')} cache ${text('cache')}${facts['cycle'] ? ' cycle' : ' no cycle'}`;
}

export function ownedBy(built: CatalogObject): Statement[] {
  const owner = built.facts['owned by'];
  const column = Array.isArray(owner) ? owner.map(identifier).join('.') : 'none';
  return [{ step: STEP.constraint, at: 0, sql: `alter sequence ${qualified(built)} owned by ${column};` }];
}

export function createView(built: CatalogObject, { replace = false } = {}): string {
  const { facts } = built;
  const options = Array.isArray(facts['options']) ? ` with (${facts['options'].join(', ')})` : '';
  const query = textOf(facts['query']).replace(/;\s*$/, '');
  const what = facts['is'] === 'materialized' ? 'materialized view' : 'view';
  return `create ${replace ? 'or replace ' : ''}${what} ${qualified(built)}${options} as ${query}`;
}

export function createFunction(built: CatalogObject): string {
  const { facts } = built;
  const definition = textOf(facts['definition']);
  if (facts['is'] !== 'aggregate') return definition;
  const { sfunc, stype, final, combine, initial } = JSON.parse(definition) as Record<string, string>;
  const parts = [
    `sfunc = ${sfunc}`,
    `stype = ${stype}`,
    ...(final ? [`finalfunc = ${final}`] : []),
    ...(combine ? [`combinefunc = ${combine}`] : []),
    ...(initial === undefined ? [] : [`initcond = ${literal(initial)}`]),
  ];
  return `create aggregate ${signature(built)} (${parts.join(', ')})`;
}

function createPolicy(built: CatalogObject): string {
  const { name, facts } = built;
  const roles = Array.isArray(facts['roles']) ? facts['roles'].join(', ') : 'public';
  return [
    `create policy ${identifier(name)} on ${tableOf(built)} as ${facts['permissive'] ? 'permissive' : 'restrictive'}`,
    `for ${textOf(facts['command'])} to ${roles}`,
    ...(facts['using'] === null ? [] : [`using (${textOf(facts['using'])})`]),
    ...(facts['check'] === null ? [] : [`with check (${textOf(facts['check'])})`]),
  ].join(' ');
}

function createEventTrigger({ name, facts }: CatalogObject): string {
  const tags = Array.isArray(facts['tags']) ? ` when tag in (${facts['tags'].map(literal).join(', ')})` : '';
  return `create event trigger ${identifier(name)} on ${textOf(facts['event'])}${tags} execute function ${textOf(facts['function'])}()`;
}

export function enabled(built: CatalogObject, { always = false } = {}): Statement[] {
  const how = textOf(built.facts['enabled']);
  if (how === 'yes' && !always) return [];
  const word =
    { yes: 'enable', no: 'disable', 'on a replica': 'enable replica', always: 'enable always' }[how] ??
    'enable';
  const name = identifier(built.name);
  const sql =
    built.kind === 'event trigger'
      ? `alter event trigger ${name} ${word}`
      : `alter table ${tableOf(built)} ${word} ${built.kind} ${name}`;
  return [{ step: STEP.rights, at: 0, sql: ended(sql) }];
}

export function rowSecurity(
  built: CatalogObject,
  facts = ['row security', 'forced row security'],
): Statement[] {
  const words: Record<string, [on: string, off: string]> = {
    'row security': ['enable', 'disable'],
    'forced row security': ['force', 'no force'],
  };
  // A new table has neither.
  const isNew = facts.length > 1;
  return facts.flatMap((fact) => {
    const word = words[fact]?.[built.facts[fact] ? 0 : 1];
    if (!word || (isNew && !built.facts[fact])) return [];
    return [{ step: STEP.rights, at: 0, sql: `alter table ${qualified(built)} ${word} row level security;` }];
  });
}
