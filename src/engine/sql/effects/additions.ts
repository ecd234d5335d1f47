import type { Answer, TableEffect } from './effect.ts';
import type { LockMode } from './lock-mode.ts';
import { columnType, fieldsOf, isSerial, relationOf, type RelationName, textsOf } from './tree.ts';
import { callsOf } from './volatile-calls.ts';

type Fields = Record<string, unknown>;

/** What one subcommand does; what is left out is no. `others`: tables beside the altered one. */
export interface Action extends Partial<Pick<TableEffect, 'rewrite' | 'scan' | 'builds'>> {
  lock: LockMode;
  clause: string;
  others?: TableEffect[];
}

/** @param column the fields of a ColumnDef */
export function addColumn(column: Fields, relation: RelationName): Action {
  const constraints = fieldsOf(column['constraints']);
  const has = (type: string) => constraints.find(({ contype }) => contype === type);
  const type = columnType(column['typeName']);
  const clause = `add column ${String(column['colname'])}`;
  const byDefault = has('CONSTR_DEFAULT');
  const generated = has('CONSTR_GENERATED');
  const rewrite = ((): Answer => {
    if (isSerial(column['typeName']) || has('CONSTR_IDENTITY')) return 'yes';
    if (generated) return generated['generated_kind'] === 'v' ? 'no' : 'yes';
    const { volatile, unknown } = callsOf(byDefault?.['raw_expr']);
    if (volatile.length) return 'yes';
    if (unknown.length) return { asks: 'volatile', functions: unknown };
    // A domain with a constraint is tried at each row.
    return type.isBuiltIn ? 'no' : { asks: 'domain', type };
  })();
  const actions = constraints
    .filter(({ contype }) => /_(?:CHECK|UNIQUE|PRIMARY|FOREIGN)$/.test(String(contype)))
    // Of a column that is null everywhere there is nothing to look up.
    .map((each) => addConstraint(each, relation, byDefault === undefined && !isSerial(column['typeName'])));
  const builds = actions.some((each) => each.builds);
  const isChecked = actions.some(({ scan }) => scan === 'yes');
  const isEmptyNotNull = has('CONSTR_NOTNULL') && !byDefault && rewrite === 'no';
  return {
    lock: 'ACCESS EXCLUSIVE',
    clause,
    rewrite,
    scan: isChecked || isEmptyNotNull ? 'yes' : 'no',
    builds,
    others: actions.flatMap(({ others = [] }) => others),
  };
}

/**
 * @param constraint the fields of a Constraint
 * @param isEmpty it is of a new column that is null everywhere
 */
export function addConstraint(constraint: Fields, relation: RelationName, isEmpty: boolean): Action {
  const { contype, conname, indexname, skip_validation: isNotValid, pktable } = constraint;
  const named = conname === undefined ? '' : ` ${String(conname)}`;
  switch (contype) {
    case 'CONSTR_FOREIGN': {
      const referenced = relationOf(pktable);
      const scan: Answer = isNotValid || isEmpty ? 'no' : 'yes';
      const clause = `add foreign key${named}`;
      const isSelf = referenced.name === relation.name && referenced.schema === relation.schema;
      const there = { ...other(referenced, 'SHARE ROW EXCLUSIVE', clause), scan };
      return { lock: 'SHARE ROW EXCLUSIVE', clause, scan, others: isSelf ? [] : [there] };
    }
    case 'CONSTR_PRIMARY':
    case 'CONSTR_UNIQUE': {
      const clause = `add ${contype === 'CONSTR_UNIQUE' ? 'unique constraint' : 'primary key'}${named}`;
      if (indexname === undefined) return { lock: 'ACCESS EXCLUSIVE', clause, scan: 'yes', builds: true };
      // The key's columns are the index's, which the statement does not name.
      const scan: Answer =
        contype === 'CONSTR_PRIMARY' ? { asks: 'not-null', index: String(indexname) } : 'no';
      return { lock: 'ACCESS EXCLUSIVE', clause: `${clause} using index`, scan };
    }
    case 'CONSTR_EXCLUSION':
      return {
        lock: 'ACCESS EXCLUSIVE',
        clause: `add exclusion constraint${named}`,
        scan: 'yes',
        builds: true,
      };
    case 'CONSTR_NOTNULL': {
      const columns = textsOf(constraint['keys']);
      return {
        lock: 'ACCESS EXCLUSIVE',
        clause: `add not null${named}`,
        scan: isNotValid ? 'no' : { asks: 'not-null', columns },
      };
    }
    default:
      return {
        lock: 'ACCESS EXCLUSIVE',
        clause: `add check constraint${named}`,
        scan: isNotValid || constraint['is_enforced'] === false ? 'no' : 'yes',
      };
  }
}

/** A table beside the altered one. */
export function other(relation: RelationName, lock: LockMode, clause: string): TableEffect {
  return {
    relation,
    object: 'table',
    lock,
    rewrite: 'no',
    scan: 'no',
    builds: false,
    partitions: false,
    clause,
  };
}
