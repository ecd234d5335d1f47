import type { Facts } from '../engine/sql/effects/answer.ts';
import {
  type ColumnType,
  fieldsOf,
  opened,
  relationNamed,
  relationOf,
  type RelationName,
  textsOf,
} from '../engine/sql/effects/tree.ts';
import { addColumn, addConstraint, alterTable, type Table } from './table.ts';
import type { Node } from '../engine/sql/nature.ts';

type Fields = Record<string, unknown>;

/**
 * What migrations make, as far as their statements show it, one after the other: tables with columns, constraints and
 * indexes; functions, domains, enum types. What DO blocks and functions make is not seen.
 */
export class Schema implements Facts {
  readonly #tables = new Map<string, Table>();
  /** The volatility of functions by their names: overloads count together. */
  readonly #functions = new Map<string, boolean>();
  /** Whether a type is a domain with a constraint. */
  readonly #types = new Map<string, boolean>();

  /** A name without a schema is one of `public`, or else, by a search_path, of the only schema that has it. */
  table(name: RelationName): Table | undefined {
    const known = this.#tables.get(keyOf(name));
    if (known || name.schema !== undefined) return known;
    const [found, other] = [...this.#tables.values()].filter((each) => each.name.name === name.name);
    return other ? undefined : found;
  }

  typeOf(relation: RelationName, column: string): ColumnType | undefined {
    return this.table(relation)?.columns.get(column)?.type;
  }

  isNotNull(
    relation: RelationName,
    { columns, index }: { columns?: readonly string[]; index?: string },
  ): boolean | undefined {
    const table = this.table(relation);
    if (!table) return undefined;
    const names = columns ?? table.indexes.find(({ name }) => name === index)?.columns;
    if (!names) return undefined;
    const known = names.map((name) => {
      const column = table.columns.get(name);
      if (column?.notNull) return true;
      const isSaid = table.constraints.some(({ notNull, isValid }) => isValid && notNull.includes(name));
      return isSaid ? true : column && false;
    });
    return known.includes(undefined) ? undefined : known.every(Boolean);
  }

  isVolatile(name: string): boolean | undefined {
    return this.#functions.get(name);
  }

  isConstrained({ name }: ColumnType): boolean | undefined {
    return this.#types.get(name.split('.').at(-1) ?? '');
  }

  /** The table of an index. */
  tableOfIndex({ schema, name }: RelationName): Table | undefined {
    return [...this.#tables.values()].find(
      (table) =>
        (schema === undefined || schema === (table.name.schema ?? 'public')) &&
        table.indexes.some((index) => index.name === name),
    );
  }

  /** Whether a trigger, policy or rule of a table was made. */
  hasPart(table: RelationName, part: string): boolean {
    return this.table(table)?.parts.has(part) ?? false;
  }

  /** Takes a statement in. @param file what is remembered as the maker of its tables */
  apply(statement: Node, file: object): void {
    const [kind, node] = opened(statement);
    switch (kind) {
      case 'CreateStmt':
        this.#create(node, file);
        break;
      case 'CreateTableAsStmt': {
        const { rel } = (node['into'] ?? {}) as { rel?: Fields };
        if (rel) this.#add(rel, file);
        break;
      }
      case 'SelectStmt': {
        const { rel } = (node['intoClause'] ?? {}) as { rel?: Fields };
        if (rel) this.#add(rel, file);
        break;
      }
      case 'CreateSchemaStmt':
        for (const each of (node['schemaElts'] ?? []) as Node[]) this.apply(each, file);
        break;
      case 'AlterTableStmt': {
        const table = this.table(relationOf(node['relation']));
        if (table) for (const each of fieldsOf(node['cmds'])) alterTable(table, each);
        break;
      }
      case 'IndexStmt':
        this.table(relationOf(node['relation']))?.indexes.push({
          name: node['idxname'] as string | undefined,
          columns: fieldsOf(node['indexParams']).map(({ name }) => String(name ?? '')),
          isPartial: node['whereClause'] !== undefined,
        });
        break;
      case 'CreateTrigStmt':
      case 'CreatePolicyStmt':
      case 'RuleStmt': {
        const name = node['trigname'] ?? node['policy_name'] ?? node['rulename'];
        this.table(relationOf(node['relation'] ?? node['table']))?.parts.add(String(name));
        break;
      }
      case 'DropStmt':
        this.#drop(node);
        break;
      case 'RenameStmt':
        this.#rename(node);
        break;
      case 'CreateFunctionStmt': {
        const name = textsOf(node['funcname']).at(-1) ?? '';
        const volatility = fieldsOf(node['options']).find(({ defname }) => defname === 'volatility');
        const said = JSON.stringify(volatility ?? '');
        this.#functions.set(name, !/immutable|stable/.test(said));
        break;
      }
      case 'CreateDomainStmt': {
        const name = textsOf(node['domainname']).at(-1) ?? '';
        this.#types.set(name, node['constraints'] !== undefined);
        break;
      }
      case 'CreateEnumStmt':
        this.#types.set(textsOf(node['typeName']).at(-1) ?? '', false);
        break;
      default:
        break;
    }
  }

  #add(relation: Fields, file: object): Table {
    const name = relationOf(relation);
    const table: Table = {
      name,
      columns: new Map(),
      constraints: [],
      indexes: [],
      parts: new Set(),
      isPartitioned: false,
      isTemporary: relation['relpersistence'] === 't',
      madeIn: file,
    };
    this.#tables.set(keyOf(name), table);
    return table;
  }

  #create(node: Fields, file: object): void {
    const name = relationOf(node['relation']);
    if (node['if_not_exists'] && this.table(name)) return;
    const table = this.#add(node['relation'] as Fields, file);
    table.isPartitioned = node['partspec'] !== undefined;
    for (const element of (node['tableElts'] ?? []) as unknown[]) {
      const [kind, fields] = opened(element);
      if (kind === 'ColumnDef') addColumn(table, fields);
      if (kind === 'Constraint') addConstraint(table, fields);
      if (kind === 'TableLikeClause') this.#copy(this.table(relationOf(fields['relation'])), table);
    }
    for (const parent of (node['inhRelations'] ?? []) as unknown[])
      this.#copy(this.table(relationOf(parent)), table);
  }

  #copy(from: Table | undefined, to: Table): void {
    for (const [name, column] of from?.columns ?? []) to.columns.set(name, { ...column });
  }

  #drop(node: Fields): void {
    const objects = ((node['objects'] ?? []) as unknown[]).map((each) => relationNamed(textsOf(each)));
    for (const name of node['removeType'] === 'OBJECT_TABLE' ? objects : [])
      this.#tables.delete(keyOf(this.table(name)?.name ?? name));
    if (node['removeType'] !== 'OBJECT_INDEX') return;
    for (const index of objects) {
      const table = this.tableOfIndex(index);
      if (table) table.indexes = table.indexes.filter(({ name }) => index.name !== name);
    }
  }

  #rename(node: Fields): void {
    const { renameType, subname, newname } = node as Record<string, string>;
    if (!node['relation']) return;
    const name = relationOf(node['relation']);
    const table = this.table(name);
    if (renameType === 'OBJECT_INDEX') {
      const index = this.tableOfIndex(name)?.indexes.find((each) => each.name === name.name);
      if (index) index.name = newname;
    } else if (renameType === 'OBJECT_TABLE' && table) {
      this.#tables.delete(keyOf(table.name));
      table.name = { ...table.name, name: newname! };
      this.#tables.set(keyOf(table.name), table);
    } else if (renameType === 'OBJECT_COLUMN' && table) {
      const column = table.columns.get(subname!);
      table.columns.delete(subname!);
      if (column) table.columns.set(newname!, column);
      const renamed = (names: readonly string[]) => names.map((each) => (each === subname ? newname! : each));
      for (const each of table.indexes) each.columns = renamed(each.columns);
      for (const each of table.constraints) {
        each.columns = renamed(each.columns);
        each.notNull = renamed(each.notNull);
      }
    } else if (renameType === 'OBJECT_TABCONSTRAINT' && table) {
      for (const each of [...table.constraints, ...table.indexes])
        if (each.name === subname) each.name = newname;
    }
  }
}

function keyOf({ schema = 'public', name }: RelationName): string {
  return `${schema}.${name}`;
}
