import { isAtLeast } from '../../engine/sql/effects/lock-mode.ts';
import type { TableEffect } from '../../engine/sql/effects/effect.ts';
import { eachNode, relationOf, relationText, type RelationName } from '../../engine/sql/effects/tree.ts';
import type { Rule } from '../rule.ts';
import { isNew, lockOf, lockOn, onExisting, sqlName } from '../rule.ts';
import type { Statement } from '../statements.ts';

const CHANGES: Record<string, string> = { UpdateStmt: 'UPDATE', DeleteStmt: 'DELETE', MergeStmt: 'MERGE' };

/** The changes of rows of a statement, those of its WITH included. */
function changesIn({ tree }: Statement): { word: string; relation: RelationName; hasWhere: boolean }[] {
  const found: ReturnType<typeof changesIn> = [];
  eachNode(tree, (kind, fields) => {
    const word = CHANGES[kind];
    if (kind === 'CreateFunctionStmt' || kind === 'RuleStmt') return false;
    if (word)
      found.push({
        word,
        relation: relationOf(fields['relation']),
        hasWhere: fields['whereClause'] !== undefined,
      });
    return undefined;
  });
  return found;
}

const rowsWithoutWhere: Rule = {
  id: 'rows-without-where',
  severity: 'error',
  hazard:
    'UPDATE and DELETE without WHERE change every row in one transaction: each row is locked, and written anew.',
  statement(statement, context) {
    return changesIn(statement)
      .filter(({ word, hasWhere }) => word !== 'MERGE' && !hasWhere)
      .filter(({ relation }) => !isNew(relation, context))
      .map(({ word, relation }) => ({
        message: `${word} of every row of ${relationText(relation)}`,
        ...lockOn(statement, relation),
        safe:
          word === 'UPDATE'
            ? `-- a part at a time, in a file outside a transaction, until no row is changed
update ${sqlName(relation)} set … where id in (select id from ${sqlName(relation)} where … limit 10000);`
            : `-- a part at a time, in a file outside a transaction, until no row is left
delete from ${sqlName(relation)} where id in (select id from ${sqlName(relation)} limit 10000);`,
      }));
  },
};

const rowsBesideDdl: Rule = {
  id: 'rows-beside-ddl',
  severity: 'warn',
  hazard: 'The lock that an ALTER took is kept until the rows are changed, however many these are.',
  statement(statement, context) {
    const isStrong = ({ lock, object }: TableEffect) => isAtLeast(lock, 'SHARE') && object === 'table';
    const at = context.before.findIndex((each) => onExisting(each, context).some(isStrong));
    const earlier = at < 0 ? undefined : onExisting(context.before[at]!, context).find(isStrong);
    const changesExisting = (each: Statement) =>
      changesIn(each).some(({ relation }) => !isNew(relation, context));
    // One of many says enough.
    if (!earlier || context.before.slice(at + 1).some(changesExisting)) return [];
    return changesIn(statement)
      .filter(({ relation }) => !isNew(relation, context))
      .slice(0, 1)
      .map(({ word, relation }) => ({
        message: `${word} of rows of ${relationText(relation)} while ${earlier.clause} keeps ${relationText(earlier.relation)} locked`,
        lock: lockOf(earlier),
        safe: `-- in a migration of its own, before or after: what changes rows`,
      }));
  },
};

const truncate: Rule = {
  id: 'truncate',
  severity: 'error',
  hazard: 'TRUNCATE loses all rows, and every query of the table waits until its transaction ends.',
  statement(statement, context) {
    if (statement.kind !== 'TruncateStmt') return [];
    return onExisting(statement, context).map((effect) => ({
      message: `empties ${relationText(effect.relation)}`,
      lock: lockOf(effect),
      safe: `-- a part at a time, if the rows have to go\ndelete from ${sqlName(effect.relation)} where id in (select id from ${sqlName(effect.relation)} limit 10000);`,
    }));
  },
};

export const ROW_RULES = [rowsWithoutWhere, rowsBesideDdl, truncate];
