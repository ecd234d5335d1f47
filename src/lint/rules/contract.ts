import {
  fieldsOf,
  relationNamed,
  relationOf,
  relationText,
  type RelationName,
  sameRelation,
  textsOf,
} from '../../engine/sql/effects/tree.ts';
import { literal } from '../../postgres/quote.ts';
import type { Context, Rule } from '../rule.ts';
import { isNew, lockOn, merged, sqlName, sqlWord } from '../rule.ts';
import type { Statement } from '../statements.ts';

const LATER =
  '-- in a migration of its own, which up defers until no release that runs uses it\n-- migrate:up phase:contract\n';

/** What runs when no release uses what it takes away. */
function isDeferred({ migration }: Context): boolean {
  return migration.up.options.phase === 'contract';
}

/** The tables that are dropped, without what this migration made, and what IF EXISTS passes by. */
function droppedTables({ kind, node }: Statement, context: Context): RelationName[] {
  if (kind !== 'DropStmt' || node['removeType'] !== 'OBJECT_TABLE' || isDeferred(context)) return [];
  return ((node['objects'] ?? []) as unknown[])
    .map((each) => relationNamed(textsOf(each)))
    .filter((name) => !isNew(name, context) && !(node['missing_ok'] === true && !context.schema.table(name)));
}

const dropTable: Rule = {
  id: 'drop-table',
  severity: 'error',
  hazard: 'The rows are lost, and each release that still uses the table fails from then on.',
  statement(statement, context) {
    return droppedTables(statement, context).map((name) => ({
      message: `drops the table ${relationText(name)}`,
      ...lockOn(statement, name),
      safe: `${LATER}drop table ${sqlName(name)};`,
    }));
  },
};

const dropColumn: Rule = {
  id: 'drop-column',
  severity: 'error',
  hazard: "The column's values are lost, and each release that still uses it fails from then on.",
  statement(statement, context) {
    const { kind, node } = statement;
    if (kind !== 'AlterTableStmt' || node['objtype'] !== 'OBJECT_TABLE') return [];
    const table = relationOf(node['relation']);
    if (isNew(table, context) || isDeferred(context)) return [];
    const known = context.schema.table(table);
    const remarks = fieldsOf(node['cmds']).flatMap(({ subtype, name, missing_ok: orNot }) => {
      if (subtype !== 'AT_DropColumn') return [];
      const column = String(name);
      if (orNot && known && !known.columns.has(column)) return [];
      return {
        message: `drops the column ${relationText(table)}.${column}`,
        ...lockOn(statement, table),
        safe: `${LATER}alter table ${sqlName(table)} drop column ${sqlWord(column)};`,
      };
    });
    return merged(remarks);
  },
};

const rename: Rule = {
  id: 'rename',
  severity: 'error',
  hazard: 'Each release that runs still uses the old name, and fails from the moment of the rename on.',
  statement(statement, context) {
    const { kind, node } = statement;
    const { renameType, relationType, subname, newname, newschema } = node as Record<string, string>;
    if (isDeferred(context)) return [];
    const { oldVal, newVal } = node as Record<string, string>;
    if (kind === 'AlterEnumStmt' && oldVal !== undefined) {
      const type = textsOf(node['typeName']).join('.');
      const safe = `alter type ${type} add value ${literal(newVal ?? '')};\n-- read both, write the new one; then change the rows that have the old one`;
      return [{ message: `renames the value '${oldVal}' of ${type} to '${newVal}'`, safe }];
    }
    if (kind !== 'RenameStmt' && kind !== 'AlterObjectSchemaStmt') return [];
    if (!node['relation']) return [];
    const type = kind === 'RenameStmt' ? renameType : node['objectType'];
    const isColumn = type === 'OBJECT_COLUMN' && relationType !== 'OBJECT_TYPE';
    if (!isColumn && !/^OBJECT_(?:TABLE|VIEW|MATVIEW)$/.test(String(type))) return [];
    const name = relationOf(node['relation']);
    if (isNew(name, context) || (!isColumn && keepsName(name, context))) return [];
    const table = sqlName(name);
    const what = isColumn ? `the column ${relationText(name)}.${subname}` : relationText(name);
    const message =
      newschema === undefined ? `renames ${what} to ${newname}` : `moves ${what} to the schema ${newschema}`;
    return [
      {
        message,
        ...lockOn(statement, name),
        safe: isColumn
          ? `alter table ${table} add column ${sqlWord(newname ?? '')} …;
-- write both, fill the rows that are there, read the new one; once no release that runs uses the old one:
alter table ${table} drop column ${sqlWord(subname ?? '')};`
          : `alter table ${table} rename to ${sqlWord(newname ?? '…')};
-- in the same migration: the old name goes on working
create view ${table} as select * from ${sqlWord(newname ?? '…')};`,
      },
    ];
  },
};

/** A view has the old name from the end of the transaction on, when anybody sees the new one. */
function keepsName(name: RelationName, { statements }: Context): boolean {
  return statements.some(
    ({ kind, node }) => kind === 'ViewStmt' && sameRelation(relationOf(node['view']), name),
  );
}

const cascade: Rule = {
  id: 'cascade',
  severity: 'error',
  hazard:
    'CASCADE also drops or empties what the statement does not name, which may differ from tenant to tenant.',
  statement(statement, context) {
    const { kind, node } = statement;
    const isDrop = kind === 'DropStmt' || kind === 'TruncateStmt';
    const ofTable = kind === 'AlterTableStmt' && !isNew(relationOf(node['relation']), context);
    const commands = ofTable ? fieldsOf(node['cmds']) : [];
    const isCascade = (isDrop ? [node] : commands).some(({ behavior }) => behavior === 'DROP_CASCADE');
    if (!isCascade) return [];
    const names =
      kind === 'TruncateStmt'
        ? ((node['relations'] ?? []) as unknown[]).map(relationOf)
        : ((node['objects'] ?? []) as unknown[]).map((each) => relationNamed(textsOf(each)));
    const isAbsent = node['removeType'] === 'OBJECT_TABLE' && node['missing_ok'] === true;
    const affected = names.filter(
      (name) => !isNew(name, context) && !(isAbsent && !context.schema.table(name)),
    );
    if (isDrop && affected.length === 0) return [];
    return [
      {
        message:
          kind === 'TruncateStmt'
            ? 'TRUNCATE … CASCADE empties each table that refers to it, too'
            : 'CASCADE drops all that depends on it, too',
        safe: '-- without CASCADE: name what depends on it, and drop that first',
      },
    ];
  },
};

export const CONTRACT_RULES = [dropTable, dropColumn, rename, cascade];
