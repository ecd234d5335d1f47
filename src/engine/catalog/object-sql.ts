import { identifier, literal } from '../../postgres/quote.ts';
import { qualified } from './compare.ts';
import type { CatalogObject } from './query.ts';
import { STEP, type Statement, ended, isParsed, signature, tableOf, textOf } from './sql-words.ts';

export function columnSql({ name, facts }: CatalogObject): string {
  const { type, identity, generated } = facts;
  const usual = textOf(facts['default']);
  return [
    identifier(name),
    textOf(type),
    ...(identity ? [`generated ${textOf(identity)} as identity${identityOptions(facts)}`] : []),
    ...(generated ? [generatedSql(textOf(generated))] : []),
    ...(usual ? [`default ${usual}`] : []),
    ...(facts['not null'] ? ['not null'] : []),
  ].join(' ');
}

const LARGEST: Record<string, string> = {
  smallint: '32767',
  integer: '2147483647',
  bigint: '9223372036854775807',
};

/** In parentheses, unless they are what PostgreSQL takes anyway. */
export function identityOptions({ type, sequence }: CatalogObject['facts']): string {
  const usual = `start 1 increment 1 minvalue 1 maxvalue ${LARGEST[textOf(type)]} cache 1`;
  return sequence === null || sequence === usual ? '' : ` (${textOf(sequence)})`;
}

function generatedSql(text: string): string {
  const [, expression = '', kind = 'stored'] = /^(.*) (stored|virtual)$/s.exec(text) ?? [];
  return `generated always as (${expression}) ${kind}`;
}

export function createCollation(built: CatalogObject): string {
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

export function createType(built: CatalogObject): Statement[] {
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

/** A new sequence goes on behind the numbers that its column holds already. */
export function behindRows(built: CatalogObject, all: readonly CatalogObject[]): Statement[] {
  const owner = built.facts['owned by'];
  const [schema, parent, name] = Array.isArray(owner) ? owner : [];
  const column = all.find(
    (each) =>
      each.kind === 'column' && each.schema === schema && each.parent === parent && each.name === name,
  );
  if (!column || !/^(?:smallint|integer|bigint)$/.test(textOf(column.facts['type']))) return [];
  const [end, sign] = textOf(built.facts['increment']).startsWith('-') ? ['min', '-'] : ['max', '+'];
  const next = `select pg_catalog.${end}(${identifier(column.name)}) ${sign} 1 from ${tableOf(column)}`;
  const sql = `select pg_catalog.setval(${literal(qualified(built))}, n, false) from (${next}) as r (n) where n is not null;`;
  return [{ step: STEP.constraint, at: 1, sql }];
}

export function createView(built: CatalogObject, { replace = false } = {}): string {
  const { facts } = built;
  const options = Array.isArray(facts['options']) ? ` with (${facts['options'].join(', ')})` : '';
  const query = textOf(facts['query']).replace(/;\s*$/, '');
  const what = facts['is'] === 'materialized' ? 'materialized view' : 'view';
  return `create ${replace ? 'or replace ' : ''}${what} ${qualified(built)}${options} as ${query}`;
}

export function functionSql(built: CatalogObject): Statement[] {
  const step = isParsed(built) ? STEP.view : STEP.made;
  return [{ step, at: built.oid, sql: ended(createFunction(built)) }];
}

function createFunction(built: CatalogObject): string {
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

export function createPolicy(built: CatalogObject): string {
  const { name, facts } = built;
  const roles = Array.isArray(facts['roles']) ? facts['roles'].join(', ') : 'public';
  return [
    `create policy ${identifier(name)} on ${tableOf(built)} as ${facts['permissive'] ? 'permissive' : 'restrictive'}`,
    `for ${textOf(facts['command'])} to ${roles}`,
    ...(facts['using'] === null ? [] : [`using (${textOf(facts['using'])})`]),
    ...(facts['check'] === null ? [] : [`with check (${textOf(facts['check'])})`]),
  ].join(' ');
}

export function createEventTrigger({ name, facts }: CatalogObject): string {
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
