import {
  columnType,
  type ColumnType,
  fieldsOf,
  isSerial,
  opened,
  type RelationName,
  textsOf,
} from '../engine/sql/effects/tree.ts';

type Fields = Record<string, unknown>;

export interface Column {
  type: ColumnType;
  notNull: boolean;
}

export interface Constraint {
  name?: string | undefined;
  kind: 'check' | 'foreign' | 'primary' | 'unique' | 'exclusion' | 'not-null';
  columns: readonly string[];
  /** Of a check: the columns of which it says that they are not null. */
  notNull: readonly string[];
  isValid: boolean;
}

export interface Index {
  name?: string | undefined;
  /** Its columns, in order; an expression is ''. */
  columns: readonly string[];
  isPartial: boolean;
}

export interface Table {
  name: RelationName;
  columns: Map<string, Column>;
  constraints: Constraint[];
  indexes: Index[];
  /** Names of its triggers, policies and rules. */
  parts: Set<string>;
  isPartitioned: boolean;
  isTemporary: boolean;
  /** The file that made it. */
  madeIn: object;
}

/** @param fields of a ColumnDef */
export function addColumn(table: Table, fields: Fields): void {
  const name = String(fields['colname']);
  const constraints = fieldsOf(fields['constraints']);
  const isRequired = constraints.some(({ contype }) =>
    /_(?:NOTNULL|PRIMARY|IDENTITY)$/.test(String(contype)),
  );
  const notNull = isRequired || isSerial(fields['typeName']);
  if (table.columns.has(name)) return;
  table.columns.set(name, { type: columnType(fields['typeName']), notNull });
  for (const each of constraints) addConstraint(table, each, name);
}

const KINDS: Record<string, Constraint['kind']> = {
  CONSTR_CHECK: 'check',
  CONSTR_FOREIGN: 'foreign',
  CONSTR_PRIMARY: 'primary',
  CONSTR_UNIQUE: 'unique',
  CONSTR_EXCLUSION: 'exclusion',
  CONSTR_NOTNULL: 'not-null',
};

/** @param column of a constraint that stands with its column */
export function addConstraint(table: Table, fields: Fields, column?: string): void {
  const kind = KINDS[String(fields['contype'])];
  if (!kind || (kind === 'not-null' && column !== undefined)) return;
  const index = table.indexes.find(({ name }) => name !== undefined && name === fields['indexname']);
  const named = textsOf(fields['keys'] ?? fields['fk_attrs']);
  const columns = index?.columns ?? (named.length ? named : column === undefined ? [] : [column]);
  const name = fields['conname'] as string | undefined;
  const isValid = fields['skip_validation'] !== true;
  const notNull = kind === 'check' ? notNullIn(fields['raw_expr']) : kind === 'not-null' ? columns : [];
  table.constraints.push({ name, kind, columns, notNull, isValid });
  if (kind === 'primary' || kind === 'unique') {
    if (!index) table.indexes.push({ name, columns, isPartial: false });
    else if (name !== undefined) index.name = name;
  }
  if (kind === 'primary' || (kind === 'not-null' && isValid)) {
    for (const each of columns) {
      const known = table.columns.get(each);
      if (known) known.notNull = true;
    }
  }
}

/** The columns that an expression says to be not null: `a is not null and …`. */
function notNullIn(expression: unknown): string[] {
  const [kind, fields] = opened(expression);
  if (kind === 'BoolExpr' && fields['boolop'] === 'AND_EXPR')
    return ((fields['args'] ?? []) as unknown[]).flatMap(notNullIn);
  const [of, { fields: names }] = opened(fields['arg']);
  const isColumn = kind === 'NullTest' && fields['nulltesttype'] === 'IS_NOT_NULL' && of === 'ColumnRef';
  return isColumn ? textsOf(names).slice(-1) : [];
}

/** @param command the fields of an AlterTableCmd */
export function alterTable(table: Table, command: Fields): void {
  const { subtype, name, def } = command;
  const [, fields] = opened(def);
  const column = table.columns.get(String(name));
  switch (subtype) {
    case 'AT_AddColumn':
      addColumn(table, fields);
      break;
    case 'AT_DropColumn':
      table.columns.delete(String(name));
      table.indexes = table.indexes.filter(({ columns }) => !columns.includes(String(name)));
      table.constraints = table.constraints.filter(({ columns }) => !columns.includes(String(name)));
      break;
    case 'AT_AlterColumnType':
      if (column) column.type = columnType(fields['typeName']);
      break;
    case 'AT_SetNotNull':
    case 'AT_DropNotNull':
      if (column) column.notNull = subtype === 'AT_SetNotNull';
      break;
    case 'AT_AddConstraint':
      addConstraint(table, fields);
      break;
    case 'AT_ValidateConstraint':
      for (const each of table.constraints) if (each.name === name) each.isValid = true;
      break;
    case 'AT_DropConstraint':
      table.constraints = table.constraints.filter((each) => each.name !== name);
      table.indexes = table.indexes.filter((each) => each.name !== name);
      break;
    default:
      break;
  }
}
