import { identifier, literal } from '../../postgres/quote.ts';
import { qualified } from './compare.ts';
import type { CatalogObject, Fact } from './query.ts';

/** In which order statements go: what others need comes first, what needs others is dropped first. */
export const STEP = {
  schema: 1,
  type: 2,
  rename: 3,
  drop: 4,
  /** Tables and functions, in the order in which they were created: each may need the other. */
  made: 5,
  column: 6,
  /** A view may group by a table's key, and name its other columns. */
  key: 7,
  view: 8,
  constraint: 9,
  part: 10,
  rights: 11,
  /** Of extra functions, when nothing uses them any more. */
  lateDrop: 12,
  comment: 13,
} as const;

export interface Statement {
  step: number;
  /** Within the step. */
  at: number;
  sql: string;
}

export function routineWord({ facts }: CatalogObject): string {
  const is = textOf(facts['is']);
  return is === 'procedure' || is === 'aggregate' ? is : 'function';
}

/** Its name stands in front of its arguments, which are SQL already. */
export function signature(routine: CatalogObject): string {
  return `${identifier(routine.schema)}.${identifier(ownName(routine))}(${textOf(routine.facts['arguments'])})`;
}

/** Of a function without its arguments. */
export function ownName({ kind, name, facts }: CatalogObject): string {
  return kind === 'function' ? name.slice(0, -`(${textOf(facts['arguments'])})`.length) : name;
}

/** A function whose body is SQL, and not text: what is in it must be there. */
export function isParsed({ kind, facts }: CatalogObject): boolean {
  return kind === 'function' && facts['is'] !== 'aggregate' && !/\nAS /.test(textOf(facts['definition']));
}

export function stepOfConstraint({ facts }: CatalogObject): number {
  return /^(?:PRIMARY KEY|UNIQUE)/.test(textOf(facts['definition'])) ? STEP.key : STEP.constraint;
}

export function tableOf({ schema, parent }: CatalogObject): string {
  return qualified({ schema, name: parent });
}

/** Its name is `table column public.meters.note`: what it is, and where. */
export function commentSql({ name }: CatalogObject, text: string | null): string {
  const [, kind = '', identity = ''] =
    /^(table column|view column|materialized view|table constraint|\S+) (.*)$/s.exec(name) ?? [];
  const word = kind.replace(/^(?:table|view) /, '');
  return `comment on ${word} ${identity} is ${literal(text)}`;
}

export function textOf(fact: Fact | undefined): string {
  return typeof fact === 'string' ? fact : '';
}

export function ended(sql: string): string {
  const text = sql.trimEnd();
  return text.endsWith(';') ? text : `${text};`;
}

export function comment(step: number, text: string): Statement {
  return { step, at: 0, sql: commented(text) };
}

/** Whatever is in the names: no line of it is SQL. */
export function commented(text: string): string {
  return text
    .split(/[\r\n]+/)
    .map((line) => `-- ${line}`)
    .join('\n');
}
