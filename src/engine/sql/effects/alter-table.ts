import { type Action, addColumn, addConstraint, other } from './additions.ts';
import type { TableEffect } from './effect.ts';
import {
  columnType,
  type ColumnType,
  fieldsOf,
  opened,
  relationOf,
  type RelationName,
  textsOf,
} from './tree.ts';

type Fields = Record<string, unknown>;

const SHARED_UPDATE: ReadonlySet<string> = new Set([
  'AT_SetStatistics',
  'AT_ClusterOn',
  'AT_DropCluster',
  'AT_SetOptions',
  'AT_ResetOptions',
  'AT_SetRelOptions',
  'AT_ResetRelOptions',
  'AT_ValidateConstraint',
  'AT_DetachPartitionFinalize',
]);

const CLAUSES: Record<string, string> = {
  AT_DropColumn: 'drop column',
  AT_ColumnDefault: 'alter column default of',
  AT_DropNotNull: 'drop not null of',
  AT_DropConstraint: 'drop constraint',
  AT_ValidateConstraint: 'validate constraint',
};

/**
 * What an ALTER TABLE does, one entry a subcommand and one more for each table beside it.
 * @param node the fields of an AlterTableStmt
 */
export function alterTableEffects(node: Fields): TableEffect[] {
  // A composite type has no rows.
  if (node['objtype'] === 'OBJECT_TYPE') return [];
  const relation = relationOf(node['relation']);
  const object = objectOf(node['objtype']);
  const partitions = (node['relation'] as { inh?: boolean }).inh === true;
  return fieldsOf(node['cmds']).flatMap((command) => {
    const { others = [], ...action } = actionOf(command, relation);
    const own = {
      relation,
      object,
      partitions,
      rewrite: 'no',
      scan: 'no',
      builds: false,
      ...action,
    } as const;
    return [own, ...others];
  });
}

function objectOf(type: unknown): TableEffect['object'] {
  switch (type) {
    case 'OBJECT_INDEX':
      return 'index';
    case 'OBJECT_VIEW':
      return 'view';
    case 'OBJECT_SEQUENCE':
      return 'sequence';
    case 'OBJECT_MATVIEW':
      return 'materialized view';
    default:
      return 'table';
  }
}

function actionOf(command: Fields, relation: RelationName): Action {
  const { subtype, name, def } = command;
  const kind = String(subtype);
  const [, fields] = opened(def);
  const column = String(name ?? '');
  switch (kind) {
    case 'AT_AddColumn':
      return addColumn(fields, relation);
    case 'AT_AlterColumnType': {
      const to = columnType(fields['typeName']);
      const using = fields['raw_default'];
      return {
        lock: 'ACCESS EXCLUSIVE',
        clause: `alter column ${column} type ${to.name}`,
        rewrite:
          using === undefined || isCastOf(using, column, to) ? { asks: 'type-change', column, to } : 'yes',
      };
    }
    case 'AT_SetNotNull':
      return {
        lock: 'ACCESS EXCLUSIVE',
        clause: `alter column ${column} set not null`,
        scan: { asks: 'not-null', columns: [column] },
      };
    case 'AT_AddConstraint':
      return addConstraint(fields, relation, false);
    case 'AT_SetLogged':
    case 'AT_SetUnLogged':
      return {
        lock: 'ACCESS EXCLUSIVE',
        clause: kind === 'AT_SetLogged' ? 'set logged' : 'set unlogged',
        rewrite: 'yes',
      };
    case 'AT_SetAccessMethod':
    case 'AT_SetTableSpace':
    case 'AT_SetExpression':
      return { lock: 'ACCESS EXCLUSIVE', clause: words(kind), rewrite: 'yes' };
    case 'AT_ValidateConstraint':
      return { lock: 'SHARE UPDATE EXCLUSIVE', clause: `validate constraint ${column}`, scan: 'yes' };
    case 'AT_AttachPartition':
      return attach(fields);
    case 'AT_DetachPartition': {
      const { name: partition, concurrent } = fields as { name: unknown; concurrent?: boolean };
      return {
        lock: concurrent ? 'SHARE UPDATE EXCLUSIVE' : 'ACCESS EXCLUSIVE',
        clause: 'detach partition',
        others: [
          other(
            relationOf(partition),
            concurrent ? 'SHARE UPDATE EXCLUSIVE' : 'ACCESS EXCLUSIVE',
            'detach partition',
          ),
        ],
      };
    }
    case 'AT_AddInherit':
    case 'AT_DropInherit':
      return {
        lock: 'ACCESS EXCLUSIVE',
        clause: words(kind),
        others: [
          other(
            relationOf(fields),
            kind === 'AT_AddInherit' ? 'SHARE UPDATE EXCLUSIVE' : 'ACCESS SHARE',
            words(kind),
          ),
        ],
      };
    default: {
      if (/^AT_(?:En|Dis)able\w*Trig/.test(kind)) return { lock: 'SHARE ROW EXCLUSIVE', clause: words(kind) };
      const clause = [CLAUSES[kind] ?? words(kind), column].filter(Boolean).join(' ');
      return { lock: SHARED_UPDATE.has(kind) ? 'SHARE UPDATE EXCLUSIVE' : 'ACCESS EXCLUSIVE', clause };
    }
  }
}

/** `AT_SetStorage` as words. */
function words(kind: string): string {
  return kind
    .slice(3)
    .replace(/(?<=[a-z])(?=[A-Z])/g, ' ')
    .toLowerCase();
}

/** The partition is read, unless a check of its own says that its rows belong there. */
function attach(fields: Fields): Action {
  const partition = relationOf(fields['name']);
  const clause = 'attach partition';
  const there = {
    ...other(partition, 'ACCESS EXCLUSIVE', clause),
    scan: { asks: 'partition-check' } as const,
  };
  return { lock: 'SHARE UPDATE EXCLUSIVE', clause, others: [there] };
}

/** `USING column` or `USING column::type`, to the type that it gets: what happens anyway. */
function isCastOf(expression: unknown, column: string, to: ColumnType): boolean {
  const [kind, fields] = opened(expression);
  if (kind === 'ColumnRef') return textsOf(fields['fields']).join('.') === column;
  if (kind !== 'TypeCast') return false;
  const { name, isArray, modifiers } = columnType(fields['typeName']);
  const isSame = name === to.name && isArray === to.isArray && modifiers.join() === to.modifiers.join();
  return isSame && opened(fields['arg'])[0] === 'ColumnRef' && isCastOf(fields['arg'], column, to);
}
