import type { Node } from '../nature.ts';

/** A relation as a statement names it; without a schema where it has none there. */
export interface RelationName {
  schema?: string;
  name: string;
}

/** A column's type: `varchar` with [20]; built-in ones by their short names (`int4`), others with their schema. */
export interface ColumnType {
  name: string;
  /** Length, precision, scale; empty when none are given, or when they are no constants. */
  modifiers: readonly number[];
  isArray: boolean;
  isBuiltIn: boolean;
}

type Fields = Record<string, unknown>;

/** The kind of a node and its fields. */
export function opened(node: unknown): [kind: string, fields: Fields] {
  const [entry] = node && typeof node === 'object' ? Object.entries(node as Node) : [];
  return entry ?? ['', {}];
}

/** The fields of each node of a list. */
export function fieldsOf(list: unknown): Fields[] {
  return Array.isArray(list) ? list.map((node) => opened(node)[1]) : [];
}

/** The texts of a list of names: `a`, `b` of `a.b`. */
export function textsOf(list: unknown): string[] {
  const items = Array.isArray(list) ? list : ((opened(list)[1]['items'] ?? []) as unknown[]);
  return items.map((item) => String(opened(item)[1]['sval'] ?? ''));
}

/** Of a RangeVar's fields, or of the node. */
export function relationOf(range: unknown): RelationName {
  const { RangeVar: inner } = range as { RangeVar?: Fields };
  const { schemaname, relname } = (inner ?? range) as Fields;
  return { ...(typeof schemaname === 'string' && { schema: schemaname }), name: String(relname) };
}

/** Of a list of its parts. */
export function relationNamed(parts: readonly string[]): RelationName {
  const [name = '', schema] = parts.toReversed();
  return { ...(schema !== undefined && { schema }), name };
}

export function sameRelation(one: RelationName, other: RelationName): boolean {
  // `public` and no schema at all are the same to nearly everyone.
  return one.name === other.name && (one.schema ?? 'public') === (other.schema ?? 'public');
}

export function relationText({ schema, name }: RelationName): string {
  return schema === undefined ? name : `${schema}.${name}`;
}

const SERIALS: Record<string, string> = {
  serial: 'int4',
  serial4: 'int4',
  bigserial: 'int8',
  serial8: 'int8',
  smallserial: 'int2',
  serial2: 'int2',
};

const BUILT_IN = new Set(
  `int2 int4 int8 float4 float8 numeric bool text varchar bpchar char name bytea date time timetz timestamp timestamptz
  interval uuid json jsonb jsonpath xml inet cidr macaddr macaddr8 bit varbit money oid regclass tsvector tsquery point line
  lseg box path polygon circle int4range int8range numrange tsrange tstzrange daterange int4multirange int8multirange
  nummultirange tsmultirange tstzmultirange datemultirange pg_lsn xid8 xid`.split(/\s+/),
);

/** Whether a column of that type is filled from a sequence of its own. */
export function isSerial(typeName: unknown): boolean {
  const names = textsOf((typeName as Fields | undefined)?.['names']);
  return names.length === 1 && SERIALS[names[0]!] !== undefined;
}

/** Of a TypeName's fields. */
export function columnType(typeName: unknown): ColumnType {
  const { names, typmods, arrayBounds } = (typeName ?? {}) as Fields;
  const parts = textsOf(names);
  const [schema] = parts.length > 1 ? parts : [undefined];
  const last = parts.at(-1) ?? '';
  const bare = SERIALS[last] ?? last;
  const isBuiltIn = schema === 'pg_catalog' || (schema === undefined && BUILT_IN.has(bare));
  return {
    name: isBuiltIn || schema === undefined ? bare : `${schema}.${bare}`,
    modifiers: fieldsOf(typmods).flatMap(({ ival }) => {
      const { ival: number = 0 } = (ival ?? {}) as { ival?: number };
      return ival ? [number] : [];
    }),
    isArray: Array.isArray(arrayBounds),
    isBuiltIn,
  };
}

/** Each node below one, itself included, until the visitor returns false. */
export function eachNode(root: unknown, visit: (kind: string, fields: Fields) => boolean | void): void {
  if (Array.isArray(root)) {
    for (const each of root) eachNode(each, visit);
  } else if (root && typeof root === 'object') {
    for (const [kind, value] of Object.entries(root)) {
      if (!value || typeof value !== 'object') continue;
      const isNode = /^[A-Z]/.test(kind) && !Array.isArray(value);
      if (isNode && visit(kind, value as Fields) === false) continue;
      eachNode(value, visit);
    }
  }
}
