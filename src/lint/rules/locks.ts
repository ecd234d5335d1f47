import { isAtLeast } from '../../engine/sql/effects/lock-mode.ts';
import { relationText, sameRelation } from '../../engine/sql/effects/tree.ts';
import type { Rule } from '../rule.ts';
import { lockOf, onExisting } from '../rule.ts';

const lockTable: Rule = {
  id: 'lock-table',
  severity: 'error',
  hazard: 'LOCK TABLE keeps others waiting until the migration ends.',
  statement(statement, context) {
    if (statement.kind !== 'LockStmt') return [];
    return onExisting(statement, context)
      .filter(({ lock }) => isAtLeast(lock, 'SHARE'))
      .map((effect) => ({
        message: `locks ${relationText(effect.relation)}`,
        lock: lockOf(effect),
        safe: '-- leave it out: each statement takes the lock that it needs',
      }));
  },
};

const twoTablesLocked: Rule = {
  id: 'two-tables-locked',
  severity: 'warn',
  hazard:
    'The first table stays locked while the migration waits for the second, and a query of both can end in a deadlock.',
  statement(statement, context) {
    const exclusive = (each: typeof statement) =>
      onExisting(each, context).filter(
        ({ lock, object }) => lock === 'ACCESS EXCLUSIVE' && object === 'table',
      );
    const held = context.before.flatMap(exclusive);
    const [first] = held;
    if (!first || held.some(({ relation }) => !sameRelation(relation, first.relation))) return [];
    const second = exclusive(statement).find(({ relation }) => !sameRelation(relation, first.relation));
    if (!second) return [];
    return [
      {
        message: `${second.clause} locks ${relationText(second.relation)} while ${relationText(first.relation)} stays locked`,
        lock: lockOf(second),
        safe: `-- in a migration of its own: what changes ${relationText(second.relation)}`,
      },
    ];
  },
};

export const LOCK_RULES = [lockTable, twoTablesLocked];
