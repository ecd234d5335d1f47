import { checksumOf, checksumOfSections } from '../../engine/source/checksum.ts';
import type { Migration, SqlScript } from '../../engine/migration.ts';

/** A migration that ships with this package: name and SQL. Once released it is never edited, only followed. */
export interface BuiltIn {
  name: string;
  sql: string;
}

/** Built-in SQL as the engine takes it; `set` only shows where an error lies. */
export function builtInMigrations(set: string, list: readonly BuiltIn[]): Migration[] {
  return list.map(({ name, sql }) => {
    const path = `mpm-migrate:central/${set}/${name}.sql`;
    const script: SqlScript = { kind: 'sql', path, text: sql, sql, start: 0, options: { transaction: true } };
    return {
      name,
      version: /^\d+/.exec(name)?.[0] ?? '',
      checksum: checksumOfSections({ text: sql, options: script.options }, undefined),
      fileChecksum: checksumOf(Buffer.from(sql)),
      source: 'central',
      path,
      up: script,
    };
  });
}
