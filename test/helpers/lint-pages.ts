import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseSqlFile } from '../../src/engine/source/sql-file.ts';
import type { Migration } from '../../src/engine/migration.ts';
import { type LintResult, lintMigrations, type Severities } from '../../src/lint/lint.ts';

const FOLDER = join(import.meta.dirname, '../../docs/lint');

function blocksOf(page: string): string[] {
  const text = readFileSync(join(FOLDER, page), 'utf8');
  return [...text.matchAll(/^```sql\n(.*?)^```$/gms)].map(([, code = '']) => code);
}

/** The tables of all examples, a migration each, with its way down. */
export const SETUP = blocksOf('README.md');

/** What a rule's page says. */
export interface RulePage {
  text: string;
  hazard: string | undefined;
  /** `ACCESS EXCLUSIVE on orders` */
  lock: { mode: string; table: string; blocks: string } | undefined;
  /** Each a migration. */
  found: string[];
  instead: string[];
}

export function rulePage(id: string): RulePage {
  const text = readFileSync(join(FOLDER, `${id}.md`), 'utf8');
  const [, mode = '', table = '', blocks = ''] =
    /^\*\*Locks:\*\* (.*?) on `(.*?)`: (.*)\.$/m.exec(text) ?? [];
  const [found = '', instead = ''] = blocksOf(`${id}.md`);
  const split = (block: string) => block.split(/^-- next migration\n/m);
  return {
    text,
    hazard: /^# .*\n\n(.*)$/m.exec(text)?.[1],
    lock: mode ? { mode, table, blocks } : undefined,
    found: split(found),
    instead: split(instead),
  };
}

export function migrationOf(name: string, sql: string): Migration {
  const path = `/migrations/${name}.sql`;
  const { up, down, problems } = parseSqlFile(path, sql);
  if (problems[0] || !up) throw problems[0] ?? new Error(`${name} has no way up`);
  return {
    name,
    version: name,
    checksum: name,
    fileChecksum: name,
    source: 'core',
    path,
    up,
    ...(down && { down }),
  };
}

/** Lints SQL, each text a migration, that comes after the tables of the examples. */
export async function lintSql(texts: readonly string[], severities: Severities = {}): Promise<LintResult> {
  const setup = SETUP.map((sql, at) =>
    migrationOf(`0${at}_setup`, `-- migrate:up\n${sql}-- migrate:down\nselect 1;`),
  );
  const own = texts.map((sql, at) => migrationOf(`1${at}_change`, sql));
  return lintMigrations({ migrations: [...setup, ...own], chosen: (each) => own.includes(each), severities });
}
