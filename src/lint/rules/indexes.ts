import type { TableEffect } from '../../engine/sql/effects/effect.ts';
import {
  fieldsOf,
  opened,
  relationNamed,
  relationOf,
  relationText,
  textsOf,
} from '../../engine/sql/effects/tree.ts';
import type { Rule } from '../rule.ts';
import {
  foreignKeysIn,
  isNew,
  lockOf,
  lockOn,
  onExisting,
  onFilled,
  rewritten,
  sqlName,
  sqlWord,
} from '../rule.ts';
import type { Statement } from '../statements.ts';
import type { Table } from '../table.ts';

const ALONE = "-- in a migration of its own: it can't run in a transaction\n";

const indexNotConcurrent: Rule = {
  id: 'index-not-concurrent',
  severity: 'error',
  hazard:
    'CREATE INDEX without CONCURRENTLY keeps every write to the table waiting until all rows are in the index.',
  statement(statement, context) {
    if (statement.kind !== 'IndexStmt' || statement.node['concurrent']) return [];
    return onFilled(statement, context).flatMap((effect) => {
      const table = sqlName(effect.relation);
      const isPartitioned = context.schema.table(effect.relation)?.isPartitioned;
      // Nothing is in it before its partitions' indexes are attached.
      if (isPartitioned && !effect.partitions) return [];
      const safe = isPartitioned
        ? `create index parent_idx on only ${table} (…);
-- then, for each partition, each in a migration of its own:
create index concurrently partition_idx on a_partition (…);
alter index parent_idx attach partition partition_idx;`
        : ALONE +
          rewritten(
            statement,
            (text) => text.replace(/\bindex\b/i, 'index concurrently'),
            `create index concurrently … on ${table} (…);`,
          );
      return {
        message: `builds an index of ${relationText(effect.relation)} without CONCURRENTLY`,
        lock: lockOf(effect),
        safe,
      };
    });
  },
};

const dropIndexNotConcurrent: Rule = {
  id: 'drop-index-not-concurrent',
  severity: 'warn',
  hazard:
    'DROP INDEX without CONCURRENTLY waits for every query of the table, and every later query waits behind it.',
  statement(statement, { schema, migration }) {
    const { kind, node } = statement;
    if (kind !== 'DropStmt' || node['removeType'] !== 'OBJECT_INDEX' || node['concurrent']) return [];
    return ((node['objects'] ?? []) as unknown[]).flatMap((each) => {
      const index = relationNamed(textsOf(each));
      const table = schema.tableOfIndex(index);
      if (isGone(node, table) || (table && isNew(table.name, { schema, migration }))) return [];
      const of = table ? relationText(table.name) : `the table of ${relationText(index)}`;
      return {
        message: `drops the index ${relationText(index)} without CONCURRENTLY`,
        ...lockOn(statement, index, of),
        safe: `${ALONE}drop index concurrently ${node['missing_ok'] ? 'if exists ' : ''}${sqlName(index)};`,
      };
    });
  },
};

/** With IF EXISTS, what no migration has made is most likely not there. */
function isGone(node: Record<string, unknown>, known: unknown): boolean {
  return node['missing_ok'] === true && known === undefined;
}

const reindexNotConcurrent: Rule = {
  id: 'reindex-not-concurrent',
  severity: 'error',
  hazard:
    'REINDEX without CONCURRENTLY keeps writes, and queries that would use the index, waiting until it is built anew.',
  statement(statement, context) {
    if (statement.kind !== 'ReindexStmt') return [];
    return onExisting(statement, context)
      .filter(({ lock }) => lock !== 'SHARE UPDATE EXCLUSIVE')
      .map((effect) => ({
        message: `builds ${relationText(effect.relation)} anew without CONCURRENTLY`,
        lock: lockOf(effect),
        safe: `${ALONE}reindex ${effect.object} concurrently ${sqlName(effect.relation)};`,
      }));
  },
};

const uniqueWithoutIndex: Rule = {
  id: 'unique-without-index',
  severity: 'error',
  hazard:
    'A unique or primary key that brings its own index keeps every query waiting until all rows are in the index.',
  statement(statement, context) {
    if (statement.kind !== 'AlterTableStmt') return [];
    return onFilled(statement, context)
      .filter(({ builds, lock }) => builds && lock === 'ACCESS EXCLUSIVE')
      .map((effect) => {
        const table = sqlName(effect.relation);
        const isExclusion = effect.clause.includes('exclusion');
        const { name, columns, kind } = keyIn(statement, effect);
        return {
          message: `${effect.clause}: builds its index under a lock that reads wait for`,
          lock: lockOf(effect),
          safe: isExclusion
            ? '-- PostgreSQL builds an exclusion constraint only like this: run it when nobody is there'
            : `${ALONE}create unique index concurrently ${name} on ${table} (${columns});
-- in the next one
alter table ${table} add constraint ${name} ${kind} using index ${name};`,
        };
      });
  },
};

/** What the key that a clause adds is called, its columns, and what it is. */
function keyIn({ node }: Statement, { clause, relation }: TableEffect) {
  for (const { def } of fieldsOf(node['cmds'])) {
    const [, fields] = opened(def);
    const column = fields['colname'] as string | undefined;
    const constraints = column === undefined ? [fields] : fieldsOf(fields['constraints']);
    const key = constraints.find(
      ({ contype }) => contype === 'CONSTR_UNIQUE' || contype === 'CONSTR_PRIMARY',
    );
    const name = key?.['conname'] as string | undefined;
    if (!key || !(column === undefined ? clause.endsWith(name ?? '') : clause === `add column ${column}`))
      continue;
    const columns = column === undefined ? textsOf(key['keys']) : [column];
    return {
      name: sqlWord(name ?? `${relation.name}_${columns.join('_')}_key`),
      columns: columns.map(sqlWord).join(', '),
      kind: key['contype'] === 'CONSTR_UNIQUE' ? 'unique' : 'primary key',
    };
  }
  return { name: 'new_key', columns: '…', kind: 'unique' };
}

const foreignKeyWithoutIndex: Rule = {
  id: 'foreign-key-without-index',
  severity: 'warn',
  hazard:
    'Without an index on a foreign key, each DELETE in the table that it refers to reads the whole referring table.',
  file({ statements, schema }) {
    return statements.flatMap((at) => {
      if (at.kind !== 'CreateStmt' && at.kind !== 'AlterTableStmt') return [];
      const name = relationOf(at.node['relation']);
      const table = schema.table(name);
      if (!table || table.isTemporary) return [];
      return foreignKeysIn(at)
        .filter((columns) => isKey(table, columns) && !isIndexed(table, columns))
        .map((columns) => ({
          at,
          message: `no index of ${relationText(name)} begins with ${columns.join(', ')}, a foreign key`,
          safe: `${ALONE}create index concurrently on ${sqlName(name)} (${columns.map(sqlWord).join(', ')});`,
        }));
    });
  },
};

/** It still is a foreign key at the end of all migrations. */
function isKey({ constraints }: Table, columns: readonly string[]): boolean {
  return constraints.some((each) => each.kind === 'foreign' && each.columns.join() === columns.join());
}

function isIndexed({ indexes }: Table, columns: readonly string[]): boolean {
  return indexes.some((index) => {
    const first = index.columns.slice(0, columns.length);
    return !index.isPartial && columns.every((column) => first.includes(column));
  });
}

export const INDEX_RULES = [
  indexNotConcurrent,
  dropIndexNotConcurrent,
  reindexNotConcurrent,
  uniqueWithoutIndex,
  foreignKeyWithoutIndex,
];
