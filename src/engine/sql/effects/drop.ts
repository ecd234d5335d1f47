import type { TableEffect } from './effect.ts';
import type { On } from './query.ts';
import { relationNamed, textsOf } from './tree.ts';

type Fields = Record<string, unknown>;

const DROPPED: Record<string, TableEffect['object']> = {
  OBJECT_TABLE: 'table',
  OBJECT_FOREIGN_TABLE: 'table',
  OBJECT_INDEX: 'index',
  OBJECT_VIEW: 'view',
  OBJECT_MATVIEW: 'materialized view',
  OBJECT_SEQUENCE: 'sequence',
};

export function dropped(node: Fields, on: On): void {
  const type = String(node['removeType']);
  const object = DROPPED[type];
  const lock = node['concurrent'] ? 'SHARE UPDATE EXCLUSIVE' : 'ACCESS EXCLUSIVE';
  for (const each of (node['objects'] ?? []) as unknown[]) {
    const parts = textsOf(each);
    if (object) on(rangeOf(parts), lock, `drop ${object}`, { object });
    else if (/_(?:TRIGGER|POLICY|RULE)$/.test(type))
      on(rangeOf(parts.slice(0, -1)), lock, `drop ${type.slice(7).toLowerCase()}`);
  }
}

function rangeOf(parts: readonly string[]): unknown {
  const { schema, name } = relationNamed(parts);
  return { relname: name, ...(schema !== undefined && { schemaname: schema }) };
}

export function renamed(kind: string, node: Fields, on: On): void {
  const { relation, renameType, relationType, objectType } = node as Record<string, string | undefined>;
  if (!relation) return;
  const type = renameType ?? objectType ?? '';
  const object = DROPPED[type] ?? DROPPED[relationType ?? ''] ?? 'table';
  const lock = type === 'OBJECT_INDEX' ? 'SHARE UPDATE EXCLUSIVE' : 'ACCESS EXCLUSIVE';
  on(relation, lock, kind === 'RenameStmt' ? `rename ${type.slice(7).toLowerCase()}` : 'set schema', {
    object,
  });
}

export function commented(node: Fields, on: On): void {
  const type = String(node['objtype']);
  const parts = textsOf(node['object']);
  if (type === 'OBJECT_TABLE') on(rangeOf(parts), 'SHARE UPDATE EXCLUSIVE', 'comment on table');
  if (type === 'OBJECT_COLUMN')
    on(rangeOf(parts.slice(0, -1)), 'SHARE UPDATE EXCLUSIVE', 'comment on column');
}
