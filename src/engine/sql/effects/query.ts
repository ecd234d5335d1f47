import type { TableEffect } from './effect.ts';
import type { LockMode } from './lock-mode.ts';
import { eachNode } from './tree.ts';

type Fields = Record<string, unknown>;

/** Adds what a clause does to a relation (a RangeVar); what is left out of the rest is no. */
export type On = (relation: unknown, lock: LockMode, clause: string, rest?: Partial<TableEffect>) => void;

const WRITES: Record<string, string> = {
  InsertStmt: 'insert',
  UpdateStmt: 'update',
  DeleteStmt: 'delete',
  MergeStmt: 'merge',
};

/** Each table of a query, and what its statements, those of WITH included, do to it. */
export function queryEffects(query: unknown, clause: string, on: On): void {
  const named = new Set<string>();
  eachNode(query, (kind, fields) => {
    if (kind === 'CommonTableExpr') named.add(String(fields['ctename']));
  });
  const isTable = (range: Fields) =>
    range['schemaname'] !== undefined || !named.has(String(range['relname']));
  eachNode(query, (kind, fields) => {
    const write = WRITES[kind];
    if (write) {
      const everyRow =
        (kind === 'UpdateStmt' || kind === 'DeleteStmt') && fields['whereClause'] === undefined;
      on(fields['relation'], 'ROW EXCLUSIVE', write, everyRow ? { scan: 'yes' } : {});
    }
    if (kind === 'RangeVar' && isTable(fields)) on(fields, 'ACCESS SHARE', clause);
    if (kind !== 'SelectStmt' || !fields['lockingClause']) return;
    for (const each of (fields['fromClause'] ?? []) as { RangeVar?: Fields }[])
      if (each.RangeVar && isTable(each.RangeVar)) on(each, 'ROW SHARE', 'select … for update');
  });
}
