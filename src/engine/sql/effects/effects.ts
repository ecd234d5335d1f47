import type { Node } from '../nature.ts';
import { alterTableEffects } from './alter-table.ts';
import type { TableEffect } from './effect.ts';
import { commented, dropped, renamed } from './drop.ts';
import { type LockMode, lockModeOf } from './lock-mode.ts';
import { eachNode, opened, relationOf, type RelationName } from './tree.ts';
import { reindex, vacuum } from './maintenance.ts';
import { type On, queryEffects } from './query.ts';
import { callsOf } from './volatile-calls.ts';

type Fields = Record<string, unknown>;

export interface Effects {
  /** By clause, in the statement's order; a relation may be there several times. Relations that it makes are not there. */
  tables: readonly TableEffect[];
  makes: readonly RelationName[];
  /** What may do anything to any table: `DO`, `CALL`, a function that is not PostgreSQL's. */
  unknown: readonly string[];
  /** The functions among them. */
  calls: readonly string[];
}

/**
 * What a statement does to tables, given as the parser's tree (`parseScript`): the locks that it takes, as PostgreSQL
 * 18's manual and source have it, which rows it writes anew, and which it reads. A pure function. What the statement
 * doesn't name isn't there: the table of a dropped index, what CASCADE takes along, what a trigger does, the other table
 * of a dropped foreign key.
 */
export function effectsOf(statement: Node): Effects {
  const [kind, node] = opened(statement);
  const found: { tables: TableEffect[]; makes: RelationName[]; unknown: string[]; calls: string[] } = {
    tables: [],
    makes: [],
    unknown: [],
    calls: [],
  };
  const on = (relation: unknown, lock: LockMode, clause: string, rest: Partial<TableEffect> = {}) => {
    const name = relationOf(relation);
    found.tables.push({
      relation: name,
      object: 'table',
      lock,
      rewrite: 'no',
      scan: 'no',
      builds: false,
      partitions: false,
      clause,
      ...rest,
    });
  };
  const makes = (relation: unknown) => found.makes.push(relationOf(relation));
  const reads = (query: unknown, clause: string) => queryEffects(query, clause, on);

  switch (kind) {
    case 'AlterTableStmt':
      found.tables.push(...alterTableEffects(node));
      break;
    case 'CreateStmt':
      makes(node['relation']);
      createTable(node, on);
      break;
    case 'CreateTableAsStmt':
    case 'ViewStmt': {
      const { view, into, query, replace } = node as {
        view?: unknown;
        into?: { rel: unknown };
        query: unknown;
        replace?: boolean;
      };
      if (replace) on(view, 'ACCESS EXCLUSIVE', 'create or replace view', { object: 'view' });
      else makes(view ?? into?.rel);
      reads(query, kind === 'ViewStmt' ? 'create view' : 'create table as');
      break;
    }
    case 'CreateSchemaStmt':
      for (const each of (node['schemaElts'] as Node[] | undefined) ?? []) {
        const inner = effectsOf(each);
        found.tables.push(...inner.tables);
        found.makes.push(...inner.makes);
      }
      break;
    case 'IndexStmt': {
      const { relation, concurrent } = node as { relation: { inh?: boolean }; concurrent?: boolean };
      const lock = concurrent ? 'SHARE UPDATE EXCLUSIVE' : 'SHARE';
      const clause = concurrent ? 'create index concurrently' : 'create index';
      on(relation, lock, clause, { scan: 'yes', builds: true, partitions: relation.inh === true });
      break;
    }
    case 'DropStmt':
      dropped(node, on);
      break;
    case 'RenameStmt':
    case 'AlterObjectSchemaStmt':
      renamed(kind, node, on);
      break;
    case 'TruncateStmt':
      for (const each of (node['relations'] ?? []) as { RangeVar: { inh?: boolean } }[])
        on(each, 'ACCESS EXCLUSIVE', 'truncate', { partitions: each.RangeVar.inh === true });
      break;
    case 'LockStmt':
      for (const each of (node['relations'] ?? []) as { RangeVar: { inh?: boolean } }[])
        on(each, lockModeOf(Number(node['mode'])), 'lock table', { partitions: each.RangeVar.inh === true });
      break;
    case 'VacuumStmt':
      vacuum(node, on);
      break;
    case 'ClusterStmt':
      if (node['relation']) on(node['relation'], 'ACCESS EXCLUSIVE', 'cluster', { rewrite: 'yes' });
      else found.unknown.push('cluster of all tables');
      break;
    case 'ReindexStmt':
      reindex(node, on, found.unknown);
      break;
    case 'RefreshMatViewStmt':
      on(
        node['relation'],
        node['concurrent'] ? 'EXCLUSIVE' : 'ACCESS EXCLUSIVE',
        'refresh materialized view',
        {
          object: 'materialized view',
          [node['concurrent'] ? 'scan' : 'rewrite']: 'yes',
        },
      );
      break;
    case 'CreateTrigStmt':
      on(node['relation'], 'SHARE ROW EXCLUSIVE', 'create trigger');
      break;
    case 'CreatePolicyStmt':
    case 'AlterPolicyStmt':
      on(node['table'], 'ACCESS EXCLUSIVE', kind === 'CreatePolicyStmt' ? 'create policy' : 'alter policy');
      break;
    case 'RuleStmt':
      on(node['relation'], 'ACCESS EXCLUSIVE', 'create rule');
      break;
    case 'CreateStatsStmt':
      for (const each of (node['relations'] ?? []) as unknown[])
        on(each, 'SHARE UPDATE EXCLUSIVE', 'create statistics');
      break;
    case 'CommentStmt':
      commented(node, on);
      break;
    case 'AlterSeqStmt':
      on(node['sequence'], 'SHARE ROW EXCLUSIVE', 'alter sequence', { object: 'sequence' });
      break;
    case 'CopyStmt':
      if (node['relation']) on(node['relation'], node['is_from'] ? 'ROW EXCLUSIVE' : 'ACCESS SHARE', 'copy');
      else reads(node['query'], 'copy');
      break;
    case 'DoStmt':
      found.unknown.push('do');
      break;
    case 'CallStmt':
      found.unknown.push('call');
      break;
    case 'AlterDomainStmt':
      if (node['subtype'] === 'C' || node['subtype'] === 'O')
        found.unknown.push('alter domain: the tables that have it');
      break;
    case 'CreateExtensionStmt':
    case 'AlterExtensionStmt':
      found.unknown.push('extension');
      break;
    case 'InsertStmt':
    case 'UpdateStmt':
    case 'DeleteStmt':
    case 'MergeStmt':
    case 'SelectStmt':
    case 'ExplainStmt':
      reads(statement, words(kind));
      found.calls.push(...callsOf(statement).unknown);
      found.unknown.push(...found.calls.map((name) => `function ${name}`));
      break;
    default:
      break;
  }
  return found;
}

function words(kind: string): string {
  return kind.replace(/Stmt$/, '').toLowerCase();
}

function createTable(node: Fields, on: On): void {
  const {
    inhRelations = [],
    tableElts,
    partbound,
  } = node as { inhRelations?: unknown[]; tableElts: unknown; partbound?: unknown };
  const own = relationOf(node['relation']);
  for (const parent of inhRelations)
    on(
      parent,
      partbound ? 'ACCESS EXCLUSIVE' : 'SHARE UPDATE EXCLUSIVE',
      partbound ? 'create table … partition of' : 'create table … inherits',
    );
  eachNode(tableElts, (kind, fields) => {
    if (kind === 'TableLikeClause') on(fields['relation'], 'ACCESS SHARE', 'create table … like');
    if (kind !== 'Constraint' || fields['contype'] !== 'CONSTR_FOREIGN') return;
    const referenced = relationOf(fields['pktable']);
    if (referenced.name === own.name && referenced.schema === own.schema) return;
    on(fields['pktable'], 'SHARE ROW EXCLUSIVE', 'create table … references');
  });
}
