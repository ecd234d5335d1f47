import { answerTo } from '../../engine/sql/effects/answer.ts';
import { isAtLeast } from '../../engine/sql/effects/lock-mode.ts';
import {
  fieldsOf,
  opened,
  relationOf,
  relationText,
  sameRelation,
  type RelationName,
  textsOf,
} from '../../engine/sql/effects/tree.ts';
import type { Rule } from '../rule.ts';
import type { Statement } from '../statements.ts';
import { merged, lockOf, onExisting, onFilled, rewritten, sqlName, sqlWord } from '../rule.ts';

const constraintNotValid: Rule = {
  id: 'constraint-not-valid',
  severity: 'error',
  hazard: 'A check or foreign key that is valid at once reads all rows while writes, or all queries, wait.',
  statement(statement, context) {
    if (statement.kind !== 'AlterTableStmt') return [];
    const altered = relationOf(statement.node['relation']);
    const remarks = onFilled(statement, context)
      .filter(({ relation }) => sameRelation(relation, altered))
      .filter(({ scan, clause }) => scan === 'yes' && /^add (?:check|foreign|column)/.test(clause))
      .filter(
        ({ builds, clause }) =>
          !builds && !(clause.startsWith('add column') && isRequired(statement.node, clause)),
      )
      .map((effect) => {
        const table = sqlName(effect.relation);
        return {
          message: `${effect.clause}: reads all rows of ${relationText(effect.relation)} under the lock`,
          lock: lockOf(effect),
          safe: effect.clause.startsWith('add column')
            ? `alter table ${table} add column …;
alter table ${table} add constraint new_check check (…) not valid;
-- in the next migration
alter table ${table} validate constraint new_check;`
            : `${rewritten(statement, (text) => `${text} not valid`, `alter table ${table} add constraint … not valid;`)}
-- in the next migration
alter table ${table} validate constraint ${nameIn(statement.node)};`,
        };
      });
    return merged(remarks);
  },
};

/** TRUNCATE, or DELETE without WHERE. */
function empties({ kind, node, effects }: Statement, relation: RelationName): boolean {
  const isAll = kind === 'TruncateStmt' || (kind === 'DeleteStmt' && node['whereClause'] === undefined);
  return isAll && effects.tables.some((each) => sameRelation(each.relation, relation));
}

/** Whose scan is for another reason: it fails on any row. */
function isRequired(node: Record<string, unknown>, clause: string): boolean {
  return fieldsOf(node['cmds']).some(({ subtype, def }) => {
    const { colname, constraints } = opened(def)[1];
    const types = fieldsOf(constraints).map(({ contype }) => contype);
    return (
      subtype === 'AT_AddColumn' &&
      clause.endsWith(` ${String(colname)}`) &&
      !types.some((type) => String(type).endsWith('_CHECK'))
    );
  });
}

function nameIn(node: Record<string, unknown>): string {
  const [only, ...more] = fieldsOf(node['cmds']);
  const name = opened(only?.['def'])[1]['conname'];
  return typeof name === 'string' && more.length === 0 ? sqlWord(name) : '…';
}

const validateInSameTransaction: Rule = {
  id: 'validate-in-same-transaction',
  severity: 'error',
  hazard:
    'VALIDATE reads all rows under the lock that the same transaction took before, as if NOT VALID were not there.',
  statement(statement, context) {
    return onExisting(statement, context).flatMap((effect) => {
      if (!effect.clause.startsWith('validate constraint')) return [];
      const own = statement.effects.tables;
      const earlier = [...context.before.flatMap(({ effects }) => effects.tables), ...own].find(
        ({ relation, lock }) =>
          sameRelation(relation, effect.relation) && isAtLeast(lock, 'SHARE ROW EXCLUSIVE'),
      );
      if (!earlier) return [];
      return {
        message: `${effect.clause}: ${earlier.clause} locked ${relationText(effect.relation)} in the same transaction`,
        lock: lockOf(earlier),
        safe: `-- in the next migration
alter table ${sqlName(effect.relation)} ${effect.clause};`,
      };
    });
  },
};

const setNotNull: Rule = {
  id: 'set-not-null',
  severity: 'error',
  hazard:
    'SET NOT NULL reads all rows while every query waits, unless a valid check says that there is no null.',
  statement(statement, context) {
    const remarks = onFilled(statement, context).flatMap((effect) => {
      const { scan, relation, clause } = effect;
      if (typeof scan === 'string' || scan.asks !== 'not-null') return [];
      if (answerTo(scan, relation, context.schema) === 'no') return [];
      const isKey = clause.includes('primary key');
      // What kind of index it is, and of which columns, is not known: most likely of ones that are not null.
      if (isKey && answerTo(scan, relation, context.schema) === 'unknown') return [];
      const table = sqlName(relation);
      const columns = (scan.columns ?? []).map(sqlWord);
      const column = columns[0] ?? '…';
      return {
        message: `${clause}: reads all rows of ${relationText(relation)} under the lock`,
        lock: lockOf(effect),
        safe: `alter table ${table} add constraint ${sqlWord(`${relation.name}_${scan.columns?.[0] ?? 'column'}_not_null`)} check (${column} is not null) not valid;
-- in the next migration
alter table ${table} validate constraint ${sqlWord(`${relation.name}_${scan.columns?.[0] ?? 'column'}_not_null`)};
-- in the one after it
alter table ${table} alter column ${column} set not null;`,
      };
    });
    return merged(remarks);
  },
};

const requiredColumn: Rule = {
  id: 'required-column-without-default',
  severity: 'error',
  hazard: 'A new column that is NOT NULL and has no default fails at every tenant whose table has a row.',
  statement(statement, context) {
    if (statement.kind !== 'AlterTableStmt') return [];
    const [table] = onExisting(statement, context);
    if (!table) return [];
    const isEmptied = context.before.some((each) => empties(each, table.relation));
    if (isEmptied) return [];
    const known = context.schema.table(table.relation);
    const remarks = fieldsOf(statement.node['cmds']).flatMap(({ subtype, def, missing_ok: orNot }) => {
      const { colname, typeName, constraints } = opened(def)[1];
      const types = fieldsOf(constraints).map(({ contype }) => String(contype));
      const isRequired = types.some((type) => /_(?:NOTNULL|PRIMARY)$/.test(type));
      const isFilled = types.some((type) => /_(?:DEFAULT|IDENTITY|GENERATED)$/.test(type));
      const names = textsOf((typeName as { names?: unknown } | undefined)?.names);
      if (orNot && known?.columns.has(String(colname))) return [];
      if (subtype !== 'AT_AddColumn' || !isRequired || isFilled || /serial/.test(names.join())) return [];
      const name = sqlName(table.relation);
      const column = sqlWord(String(colname));
      return {
        message: `add column ${String(colname)}: not null and without a default, so it fails where ${relationText(table.relation)} has rows`,
        safe: `alter table ${name} add column ${column} … not null default …;
-- or, where the application fills it: without not null, and not null later by a valid check`,
      };
    });
    return merged(remarks);
  },
};

export const CONSTRAINT_RULES = [constraintNotValid, validateInSameTransaction, setNotNull, requiredColumn];
