import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { collect, guessTool, type ToolName } from '../history/collect.ts';

const folders: string[] = [];
afterEach(() => folders.splice(0).forEach((folder) => rmSync(folder, { recursive: true })));

function folderOf(files: Record<string, string>): string {
  const folder = mkdtempSync(join(tmpdir(), 'mpm-tools-'));
  folders.push(folder);
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, file)), { recursive: true });
    writeFileSync(join(folder, file), text);
  }
  return folder;
}

/** What a tool runs, a line a migration: its name, what goes up, what goes down; in parentheses what has no transaction. */
function read(tool: ToolName, files: Record<string, string>): string[] {
  const folder = folderOf(files);
  expect(guessTool(folder)).toBe(tool);
  return collect(folder, tool).steps.map(({ name, foreign, up, down }) => {
    const [above, below] = [up, down].map(
      (script) => script && (script.transaction ? script.sql.trim() : `(${script.sql.trim()})`),
    );
    return [name, foreign ?? above, ...(below === undefined ? [] : [below])].join(' | ');
  });
}

const journal = (...tags: string[]): string => JSON.stringify({ entries: tags.map((tag) => ({ tag })) });

test.each<[ToolName, Record<string, string>, string[]]>([
  [
    'prisma',
    {
      'migration_lock.toml': '',
      '2_b/migration.sql': 'b',
      '10_a/migration.sql': 'a',
      '3_c/migration.ts': '',
    },
    ['10_a | a', '2_b | b', '3_c | ts'],
  ],
  [
    'drizzle',
    {
      'meta/_journal.json': journal('0001_b', '0000_a'),
      '0000_a.sql': 'a--> statement-breakpoint a 2',
      '0001_b.sql': 'b',
      '0001_c.sql': '',
    },
    ['0001_b | b', '0000_a | a; a 2'],
  ],
  [
    'goose',
    {
      '10_b.sql': '-- +goose NO TRANSACTION\n-- +goose Up\nb\n-- +goose Down\nnot b',
      '9_a.sql': '-- +goose Up\na',
      '11_c.go': '',
    },
    ['9_a | a', '10_b | (b) | (not b)', '11_c | go'],
  ],
  [
    'sql-migrate',
    {
      'x.sql': '-- +migrate Up notransaction\nx',
      '10_b.sql': '-- +migrate Up\nb\n-- +migrate Down\nnot b\n-- +migrate Up\nb 2',
      '9_a.sql': '-- +migrate Up\na',
    },
    ['9_a | a', '10_b | b\nb 2 | not b', 'x | (x)'],
  ],
  [
    'dbmate',
    {
      '9_a.sql': '-- migrate:up transaction:false\na\n-- migrate:down\nnot a',
      '10_b.sql': '-- migrate:up\nb',
      'README.md': '',
    },
    ['10_b | -- migrate:up\nb', '9_a | (-- migrate:up transaction:false\na) | -- migrate:down\nnot a'],
  ],
  [
    'tern',
    { '002_b.sql': 'b', '001_a.sql': 'a\n---- create above / drop below ----\nnot a' },
    ['001_a | a | ---- create above / drop below ----\nnot a', '002_b | b'],
  ],
  [
    'node-pg-migrate',
    { '1_a.sql': '-- Up Migration\na\n-- Down Migration\nnot a', '2_b.js': '' },
    ['1_a | -- Up Migration\na | -- Down Migration\nnot a', '2_b | js'],
  ],
  [
    'golang-migrate',
    { '10_b.up.sql': 'b', '9_a.up.sql': 'a', '9_drop_a.down.sql': 'not a', 'code/x.go': '' },
    ['9_a | a | not a', '10_b | b'],
  ],
  [
    'sqlx',
    { '10_b.sql': '-- no-transaction\nb', '9_a.sql': 'a' },
    ['9_a | a', '10_b | (-- no-transaction\nb)'],
  ],
  [
    'atlas',
    { '2.sql': '-- atlas:txmode none\n\nb', '1_a.sql': 'a', 'atlas.sum': '' },
    ['1_a | a', '2 | (-- atlas:txmode none\n\nb)'],
  ],
  [
    'diesel',
    {
      '2019-02-01-000000_b/up.sql': 'b',
      '2019-02-01-000000_b/down.sql': 'not b',
      '20180101000000_a/up.sql': 'a',
      '20180101000000_a/metadata.toml': 'run_in_transaction = false',
      'README.md': '',
    },
    ['20180101000000_a | (a)', '2019-02-01-000000_b | b | not b'],
  ],
  [
    'ory',
    {
      '1_a.up.sql': 'a',
      '1_a.down.sql': 'not a',
      '1_a.postgres.up.sql': 'a here',
      '2_b.mysql.up.sql': '',
      '3_c.autocommit.up.sql': 'c',
    },
    ['1_a | a here | not a', '3_c | (c)'],
  ],
  [
    'flyway',
    { 'V10__c.sql': 'c', 'V1_2__b.sql': 'b', 'V1.1.9__a.sql': 'a', 'V2__j.java': '', 'R__r.sql': '' },
    ['V1.1.9__a | a', 'V1_2__b | b', 'V2__j | java', 'V10__c | c'],
  ],
  [
    'folders',
    { '10/01_c.up.sql': 'c', '2/10_b.up.sql': 'b', '2/9_a.up.sql': 'a' },
    ['2/9_a | a', '2/10_b | b', '10/01_c | c'],
  ],
  ['plain', { '10_b.sql': 'b', '9_a.sql': 'a', 'schema.sql': '' }, ['9_a | a', '10_b | b']],
  ['kysely', { '10.ts': '', '1_B.ts': '', '1_a.ts': '', '1_a.d.ts': '' }, ['1_a | ', '1_B | ', '10 | ']],
])('histories 15: a folder is read as %s itself does', (tool, files, expected) => {
  expect(read(tool, files)).toEqual(expected);
});
