import { identifier, literal } from '../../postgres/quote.ts';
import { type ObjectDifference, qualified } from './compare.ts';
import type { CatalogObject, Fact } from './query.ts';

/** In which order statements go: what others need comes first, what needs others is dropped first. */
const STEP = {
  schema: 1,
  type: 2,
  drop: 3,
  table: 4,
  column: 5,
  function: 6,
  view: 7,
  key: 8,
  constraint: 9,
  part: 10,
  rights: 11,
  comment: 12,
} as const;

interface Statement {
  step: number;
  /** Within the step. */
  at: number;
  sql: string;
}

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

// --- create ---

function create(built: CatalogObject, all: readonly CatalogObject[]): Statement[] {
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

function columnSql({ name, facts }: CatalogObject): string {
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

function sequenceOptions({ facts }: CatalogObject): string {
  const text = (fact: string): string => textOf(facts[fact]);
  return `as ${text('type')} increment ${text('increment')} minvalue ${text('minimum')} maxvalue ${text('maximum')} start ${text('start')} cache ${text('cache')}${facts['cycle'] ? ' cycle' : ' no cycle'}`;
}

function ownedBy(built: CatalogObject): Statement[] {
  const owner = built.facts['owned by'];
  const column = Array.isArray(owner) ? owner.map(identifier).join('.') : 'none';
  return [{ step: STEP.constraint, at: 0, sql: `alter sequence ${qualified(built)} owned by ${column};` }];
}

function createView(built: CatalogObject, { replace = false } = {}): string {
  const { facts } = built;
  const options = Array.isArray(facts['options']) ? ` with (${facts['options'].join(', ')})` : '';
  const query = textOf(facts['query']).replace(/;\s*$/, '');
  const what = facts['is'] === 'materialized' ? 'materialized view' : 'view';
  return `create ${replace ? 'or replace ' : ''}${what} ${qualified(built)}${options} as ${query}`;
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

function enabled(built: CatalogObject, { always = false } = {}): Statement[] {
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

function rowSecurity(built: CatalogObject, facts = ['row security', 'forced row security']): Statement[] {
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

// --- remove ---

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

// --- alter ---

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

// --- rights ---

function rightsOf({ facts }: CatalogObject): string[] {
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
function rightsFrom(built: CatalogObject, all: readonly CatalogObject[]): Statement[] {
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

function changeRights(built: CatalogObject, found: CatalogObject): Statement[] {
  return setRights(built, rightsOf(found));
}

function revoke(found: CatalogObject, rights: readonly string[]): Statement[] {
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

// --- words ---

function routineWord({ facts }: CatalogObject): string {
  const is = textOf(facts['is']);
  return is === 'procedure' || is === 'aggregate' ? is : 'function';
}

/** Its name stands in front of its arguments, which are SQL already. */
function signature({ schema, name, facts }: CatalogObject): string {
  const args = `(${textOf(facts['arguments'])})`;
  return `${identifier(schema)}.${identifier(name.slice(0, -args.length))}${args}`;
}

function stepOfConstraint({ facts }: CatalogObject): number {
  return /^(?:PRIMARY KEY|UNIQUE)/.test(textOf(facts['definition'])) ? STEP.key : STEP.constraint;
}

function tableOf({ schema, parent }: CatalogObject): string {
  return qualified({ schema, name: parent });
}

/** Its name is `table column public.meters.note`: what it is, and where. */
function commentSql({ name }: CatalogObject, text: string | null): string {
  const [, kind = '', identity = ''] =
    /^(table column|view column|materialized view|table constraint|\S+) (.*)$/s.exec(name) ?? [];
  const word = kind.replace(/^(?:table|view) /, '');
  return `comment on ${word} ${identity} is ${literal(text)}`;
}

function textOf(fact: Fact | undefined): string {
  return typeof fact === 'string' ? fact : '';
}

function ended(sql: string): string {
  const text = sql.trimEnd();
  return text.endsWith(';') ? text : `${text};`;
}

function comment(step: number, text: string): Statement {
  return { step, at: 0, sql: commented(text) };
}

/** Whatever is in the names: no line of it is SQL. */
function commented(text: string): string {
  return text
    .split(/[\r\n]+/)
    .map((line) => `-- ${line}`)
    .join('\n');
}
