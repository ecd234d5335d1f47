import type { Rule } from './rule.ts';
import { COLUMN_RULES } from './rules/columns.ts';
import { CONSTRAINT_RULES } from './rules/constraints.ts';
import { CONTRACT_RULES } from './rules/contract.ts';
import { DOWN_RULES } from './rules/down.ts';
import { INDEX_RULES } from './rules/indexes.ts';
import { LOCK_RULES } from './rules/locks.ts';
import { RIGHTS_RULES } from './rules/rights.ts';
import { ROW_RULES } from './rules/rows.ts';
import { TRANSACTION_RULES } from './rules/transactions.ts';

/** What `lint` itself has to say of a file; their findings are not made by a rule of the list. */
export const SYNTAX: Rule = {
  id: 'syntax',
  severity: 'error',
  hazard: "PostgreSQL's parser refuses the statement, so no rule has seen it.",
};
export const ALLOW_INVALID: Rule = {
  id: 'allow-invalid',
  severity: 'error',
  hazard: 'An allow that names no rule, or gives no reason, allows nothing.',
};
export const ALLOW_UNUSED: Rule = {
  id: 'allow-unused',
  severity: 'warn',
  hazard: 'An allow for which there is no finding hides the next one that comes to its place.',
};

/** All rules, in the order in which they are documented. */
export const RULES: readonly Rule[] = [
  ...INDEX_RULES,
  ...CONSTRAINT_RULES,
  ...COLUMN_RULES,
  ...CONTRACT_RULES,
  ...ROW_RULES,
  ...LOCK_RULES,
  ...TRANSACTION_RULES,
  ...RIGHTS_RULES,
  ...DOWN_RULES,
  SYNTAX,
  ALLOW_INVALID,
  ALLOW_UNUSED,
];
