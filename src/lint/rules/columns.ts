import { answerTo } from '../../engine/sql/effects/answer.ts';
import type { TableEffect } from '../../engine/sql/effects/effect.ts';
import { fieldsOf, relationText } from '../../engine/sql/effects/tree.ts';
import type { Rule } from '../rule.ts';
import { merged, lockOf, onExisting, onFilled, rewritten, sqlName, sqlWord } from '../rule.ts';
import type { Statement } from '../statements.ts';

const columnVolatileDefault: Rule = {
  id: 'column-volatile-default',
  severity: 'error',
  hazard:
    'A new column whose value differs from row to row writes the whole table anew while every query waits.',
  statement(statement, context) {
    const remarks = onFilled(statement, context)
      .filter(({ clause }) => clause.startsWith('add column'))
      .filter(({ rewrite, relation }) => answerTo(rewrite, relation, context.schema) === 'yes')
      .map((effect) => ({
        message: `${effect.clause}: writes ${relationText(effect.relation)} anew`,
        lock: lockOf(effect),
        safe: /\bgenerated\s+always\s+as\s*\(/i.test(statement.text)
          ? '-- a plain column that the application fills, or a view that has it'
          : `alter table ${sqlName(effect.relation)} ${effect.clause} …;
alter table ${sqlName(effect.relation)} alter column ${sqlWord(effect.clause.slice('add column '.length))} set default …;
-- then fill the rows that are there, a part at a time`,
      }));
    return merged(remarks);
  },
};

const columnTypeRewrite: Rule = {
  id: 'column-type-rewrite',
  severity: 'error',
  hazard:
    'A type that is stored in another way writes the whole table and its indexes anew while every query waits.',
  statement(statement, context) {
    const isUtc = context.before.some(setsUtc);
    const remarks = onFilled(statement, context)
      .filter(({ clause }) => clause.startsWith('alter column') && clause.includes(' type '))
      .flatMap((effect) => {
        const { rewrite, relation, clause } = effect;
        const answer = answerTo(rewrite, relation, context.schema);
        if (answer === 'no' || (answer === 'unknown' && isMostlyFree(effect))) return [];
        if (answer === 'unknown' && isUtc && isTimestamp(effect)) return [];
        const [, column = ''] = /^alter column (.*) type /.exec(clause) ?? [];
        const condition =
          answer === 'yes'
            ? ''
            : isTimestamp(effect)
              ? ', unless the time zone is UTC'
              : ', unless it is stored alike';
        return {
          message: `${clause}: writes ${relationText(relation)} anew${condition}`,
          lock: lockOf(effect),
          safe:
            answer === 'unknown' && isTimestamp(effect)
              ? `-- if the times are meant as UTC, so that they can stay as they are:\nset local timezone to 'UTC';\n${rewritten(statement, (text) => text, `alter table ${sqlName(relation)} ${clause};`)}`
              : `alter table ${sqlName(relation)} add column ${sqlWord(`${column}_new`)} …;
-- write both, fill the rows that are there a part at a time, read the new one; then, a release later:
alter table ${sqlName(relation)} drop column ${sqlWord(column)};`,
        };
      });
    return merged(remarks);
  },
};

/** What is read as UTC is stored alike with a time zone and without. */
function setsUtc({ kind, node }: Statement): boolean {
  const [zone] = fieldsOf(node['args']) as { sval?: { sval?: string } }[];
  return (
    kind === 'VariableSetStmt' &&
    node['name'] === 'timezone' &&
    /^(?:utc|etc\/utc|gmt)$/i.test(zone?.sval?.sval ?? '')
  );
}

/** Where the type that it has isn't known: nearly everything becomes these two as it is. */
function isMostlyFree({ rewrite }: TableEffect): boolean {
  return (
    typeof rewrite === 'object' &&
    rewrite.asks === 'type-change' &&
    /^(?:text|varchar)$/.test(rewrite.to.name) &&
    rewrite.to.modifiers.length === 0
  );
}

function isTimestamp({ rewrite }: TableEffect): boolean {
  return (
    typeof rewrite === 'object' && rewrite.asks === 'type-change' && rewrite.to.name.startsWith('timestamp')
  );
}

const TABLE_REWRITES =
  /^(?:vacuum full|cluster|set (?:logged|unlogged|access method|table space|expression)|refresh materialized view)/;

const tableRewrite: Rule = {
  id: 'table-rewrite',
  severity: 'error',
  hazard: 'The table is written anew from its first row to its last while every query waits.',
  statement(statement, context) {
    return onExisting(statement, context)
      .filter(({ clause, rewrite }) => rewrite === 'yes' && TABLE_REWRITES.test(clause))
      .map((effect) => ({
        message: `${effect.clause}: writes ${relationText(effect.relation)} anew`,
        lock: lockOf(effect),
        safe:
          SAFE[effect.clause]?.(sqlName(effect.relation)) ??
          '-- leave it out, or run it when nobody is there',
      }));
  },
};

const SAFE: Record<string, (table: string) => string> = {
  'vacuum full': (table) =>
    `vacuum ${table};\n-- what it leaves free is used again; pg_repack gives it back without the lock`,
  cluster: (table) => `-- leave it out: pg_repack sorts ${table} without the lock`,
  'refresh materialized view': (view) =>
    `-- with a unique index on ${view}: reads go on meanwhile\nrefresh materialized view concurrently ${view};`,
};

export const COLUMN_RULES = [columnVolatileDefault, columnTypeRewrite, tableRewrite];
