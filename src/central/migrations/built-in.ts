import { createHash } from 'node:crypto';
import type { Migration } from '../../migration/migration.ts';

/** A migration that ships with this package: name and SQL. Once released it is never edited, only followed. */
export interface BuiltIn {
  name: string;
  sql: string;
}

/** Built-in SQL as the engine takes it; `set` only shows where an error lies. */
export function builtInMigrations(set: string, list: readonly BuiltIn[]): Migration[] {
  return list.map(({ name, sql }) => {
    const path = `mpm-migrate:central/${set}/${name}.sql`;
    return {
      name,
      version: /^\d+/.exec(name)?.[0] ?? '',
      checksum: `v1:${createHash('sha256').update(sql).digest('hex')}`,
      source: 'central',
      path,
      up: { kind: 'sql', path, text: sql, sql, start: 0, options: { transaction: true } },
    };
  });
}
