import { identifier } from '../../postgres/quote.ts';
import { qualified } from './compare.ts';
import type { CatalogObject } from './query.ts';
import { STEP, type Statement, routineWord, signature, tableOf } from './sql-words.ts';

export function rightsOf({ facts }: CatalogObject): string[] {
  const rights = facts['privileges'];
  return Array.isArray(rights) ? rights : [];
}

const GIVEN_TO: Partial<Record<CatalogObject['kind'], string>> = {
  schema: 'schemas',
  table: 'tables',
  view: 'tables',
  sequence: 'sequences',
  function: 'functions',
  type: 'types',
};

/** Of a new object, which has what PostgreSQL gives it, and what default privileges do. */
export function rightsFrom(built: CatalogObject, all: readonly CatalogObject[]): Statement[] {
  const usual = { function: ['public EXECUTE'], type: ['public USAGE'] }[built.kind as string] ?? [];
  const given = all.filter(
    ({ kind, name, schema }) =>
      kind === 'default privileges' &&
      name === GIVEN_TO[built.kind] &&
      (schema === '' || schema === built.schema),
  );
  if (given.length === 0) return setRights(built, usual);
  // What is given need not be what was usual: all is said.
  const wanted = rightsOf(built);
  const unwanted = [...usual, ...given.flatMap(rightsOf)].filter((right) => !wanted.includes(right));
  return [...revoke(built, unwanted), ...setRights(built, [])];
}

export function changeRights(built: CatalogObject, found: CatalogObject): Statement[] {
  return setRights(built, rightsOf(found));
}

export function revoke(found: CatalogObject, rights: readonly string[]): Statement[] {
  return setRights({ ...found, facts: { ...found.facts, privileges: [] } }, rights);
}

function setRights(built: CatalogObject, there: readonly string[]): Statement[] {
  const wanted = rightsOf(built);
  const statement = (right: string, verb: 'grant' | 'revoke'): Statement => {
    const [, who = '', what = '', option = ''] = /^(.*?) ([A-Z]+)( WITH GRANT OPTION)?$/s.exec(right) ?? [];
    const [head, target] = placeOfRights(built);
    const end = verb === 'grant' ? `to ${who}${option ? ' with grant option' : ''}` : `from ${who}`;
    const columns = built.kind === 'column' ? ` (${identifier(built.name)})` : '';
    const sql = `${head}${verb} ${what.toLowerCase()}${columns} on ${target} ${end};`;
    return { step: STEP.rights, at: verb === 'revoke' ? 1 : 2, sql };
  };
  return [
    ...there.filter((right) => !wanted.includes(right)).map((right) => statement(right, 'revoke')),
    ...wanted.filter((right) => !there.includes(right)).map((right) => statement(right, 'grant')),
  ];
}

/** What stands in front of GRANT, and what it is on. */
function placeOfRights(built: CatalogObject): [head: string, target: string] {
  const { kind, schema, name, facts } = built;
  if (kind === 'default privileges') {
    const where = schema ? `in schema ${identifier(schema)} ` : '';
    return [`alter default privileges ${where}`, name];
  }
  if (kind === 'schema') return ['', `schema ${identifier(name)}`];
  if (kind === 'function')
    return ['', `${routineWord(built)} ${signature(built)}`.replace(/^aggregate/, 'function')];
  if (kind === 'type') return ['', `${facts['is'] === 'domain' ? 'domain' : 'type'} ${qualified(built)}`];
  if (kind === 'sequence') return ['', `sequence ${qualified(built)}`];
  return ['', `table ${kind === 'column' ? tableOf(built) : qualified(built)}`];
}
