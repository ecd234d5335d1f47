import type { Answer } from './effect.ts';
import type { ColumnType, RelationName } from './tree.ts';
import { rewritesRows } from './type-change.ts';

/** What is known of one database, or of what the migrations make; undefined: not known. */
export interface Facts {
  typeOf(relation: RelationName, column: string): ColumnType | undefined;
  /** All of the columns, or those of the index, hold no null: they are NOT NULL, or a valid check says so. */
  isNotNull(relation: RelationName, of: { columns?: readonly string[]; index?: string }): boolean | undefined;
  isVolatile(name: string): boolean | undefined;
  /** Whether the type is a domain with a constraint. */
  isConstrained(type: ColumnType): boolean | undefined;
}

/** The answer to what a statement alone doesn't say. */
export function answerTo(answer: Answer, relation: RelationName, facts: Facts): 'yes' | 'no' | 'unknown' {
  if (typeof answer === 'string') return answer;
  switch (answer.asks) {
    case 'type-change': {
      const from = facts.typeOf(relation, answer.column);
      return from ? rewritesRows(from, answer.to) : 'unknown';
    }
    case 'not-null':
      return said(facts.isNotNull(relation, answer), { true: 'no', false: 'yes' });
    case 'volatile': {
      const known = answer.functions.map((name) => facts.isVolatile(name));
      return known.includes(true) ? 'yes' : known.includes(undefined) ? 'unknown' : 'no';
    }
    case 'domain':
      return said(facts.isConstrained(answer.type), { true: 'yes', false: 'no' });
    case 'partition-check':
      return 'unknown';
  }
}

function said<T>(fact: boolean | undefined, { true: yes, false: no }: { true: T; false: T }): T | 'unknown' {
  return fact === undefined ? 'unknown' : fact ? yes : no;
}
