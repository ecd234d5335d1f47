import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { findMigrations } from '../../src/dialects/projects.ts';
import { initProject } from '../../src/fleet/verbs/init.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'mpm-projects-'));
});
afterEach(() => rmSync(root, { recursive: true }));

function write(files: Record<string, string>): void {
  for (const [file, text] of Object.entries(files)) {
    mkdirSync(dirname(join(root, file)), { recursive: true });
    writeFileSync(join(root, file), text);
  }
}

const LOCK = 'provider = "postgresql"\n';
const SQL = 'create table a (id int);\n';
const prisma = (folder: string) => ({
  [`${folder}/migration_lock.toml`]: LOCK,
  [`${folder}/20230101000000_init/migration.sql`]: SQL,
  [`${folder}/20230102000000_more/migration.sql`]: SQL,
});
const drizzle = (folder: string) => ({
  [`${folder}/0000_a.sql`]: SQL,
  [`${folder}/0001_b.sql`]: 'select 1;\n--> statement-breakpoint\nselect 2;\n',
  [`${folder}/meta/_journal.json`]: JSON.stringify({
    version: '7',
    dialect: 'postgresql',
    entries: ['0000_a', '0001_b'].map((tag, idx) => ({
      idx,
      version: '7',
      when: idx + 1,
      tag,
      breakpoints: true,
    })),
  }),
});
const plain = (folder: string, text = SQL) => ({
  [`${folder}/0001_a.sql`]: text,
  [`${folder}/0002_b.sql`]: text,
});
const pairs = (folder: string) => ({
  [`${folder}/000001_a.up.sql`]: SQL,
  [`${folder}/000001_a.down.sql`]: 'drop table a;\n',
});
const KYSELY =
  "import type { Kysely } from 'kysely';\nexport async function up(db: Kysely<any>) { await db.schema.createTable('a').execute(); }\n";

test.each<
  [what: string, files: Record<string, string>, tool: string | undefined, folder: string, named?: string]
>([
  [
    'Prisma',
    { 'prisma/schema.prisma': '', ...prisma('prisma/migrations') },
    'Prisma',
    'prisma/migrations',
    'prisma/schema.prisma',
  ],
  [
    'Prisma with its schema elsewhere',
    {
      'package.json': '{ "name": "x", "prisma": { "schema": "db/schema.prisma" } }',
      ...prisma('db/migrations'),
    },
    'Prisma',
    'db/migrations',
    'package.json',
  ],
  [
    'Prisma with a schema of several files',
    { 'package.json': '{ "prisma": { "schema": "prisma/schema" } }', ...prisma('prisma/schema/migrations') },
    'Prisma',
    'prisma/schema/migrations',
    'package.json',
  ],
  [
    'Prisma with a configuration',
    {
      'prisma.config.ts':
        "export default defineConfig({\n  // schema: 'no.prisma',\n  schema: path.join('a', 'b.prisma'),\n  migrations: { seed: 'x', path: path.join('database', 'steps') },\n});",
      ...prisma('database/steps'),
    },
    'Prisma',
    'database/steps',
    'prisma.config.ts',
  ],
  [
    'Prisma with a configuration of its schema alone',
    { 'prisma.config.ts': "export default { schema: 'a/b.prisma' };", ...prisma('a/migrations') },
    'Prisma',
    'a/migrations',
    'prisma.config.ts',
  ],
  [
    'Drizzle',
    {
      'drizzle.config.ts': "export default defineConfig({ out: './db/out', schema: './schema.ts' });",
      ...drizzle('db/out'),
    },
    'Drizzle',
    'db/out',
    'drizzle.config.ts',
  ],
  [
    'Drizzle without out',
    { 'drizzle.config.json': '{ "dialect": "postgresql" }', ...drizzle('drizzle') },
    'Drizzle',
    'drizzle',
    'drizzle.config.json',
  ],
  ['Drizzle without a configuration', drizzle('drizzle'), 'Drizzle', 'drizzle'],
  [
    'Flyway of a Java project',
    { 'pom.xml': '<artifactId>flyway-core</artifactId>', 'src/main/resources/db/migration/V1__a.sql': SQL },
    'Flyway',
    'src/main/resources/db/migration',
    'pom.xml',
  ],
  [
    'Flyway with a configuration',
    { 'flyway.toml': '[flyway]\nlocations = ["filesystem:database/sql"]\n', 'database/sql/V1__a.sql': SQL },
    'Flyway',
    'database/sql',
    'flyway.toml',
  ],
  ['Flyway without one', { 'sql/V1__a.sql': SQL, 'sql/V2__b.sql': SQL }, 'Flyway', 'sql'],
  [
    'goose',
    plain('migrations', '-- +goose Up\ncreate table a ();\n-- +goose Down\ndrop table a;\n'),
    'goose',
    'migrations',
  ],
  [
    'dbmate',
    plain('db/migrations', '-- migrate:up\ncreate table a ();\n-- migrate:down\ndrop table a;\n'),
    'dbmate',
    'db/migrations',
  ],
  ['golang-migrate', pairs('db/migrations'), 'golang-migrate', 'db/migrations'],
  [
    'sqlx',
    { 'Cargo.toml': '[dependencies]\nsqlx = { version = "0.8" }\n', ...plain('migrations') },
    'sqlx',
    'migrations',
    'Cargo.toml',
  ],
  [
    'diesel',
    {
      'diesel.toml': '[migrations_directory]\ndir = "db/steps"\n',
      'db/steps/2023-01-01-000000_a/up.sql': SQL,
      'db/steps/2023-01-01-000000_a/down.sql': 'drop table a;',
    },
    'diesel',
    'db/steps',
    'diesel.toml',
  ],
  [
    'diesel without a configuration',
    { 'migrations/2023-01-01-000000_a/up.sql': SQL },
    'diesel',
    'migrations',
  ],
  [
    'sql-migrate',
    {
      'dbconfig.yml': 'production:\n  dialect: postgres\n  dir: db/steps\n',
      ...plain('db/steps', '-- +migrate Up\ncreate table a ();\n'),
    },
    'sql-migrate',
    'db/steps',
    'dbconfig.yml',
  ],
  [
    'tern',
    plain('migrations', 'create table a ();\n---- create above / drop below ----\ndrop table a;\n'),
    'tern',
    'migrations',
  ],
  [
    'node-pg-migrate',
    plain('migrations', '-- Up Migration\ncreate table a ();\n-- Down Migration\ndrop table a;\n'),
    'node-pg-migrate',
    'migrations',
  ],
  [
    'Atlas',
    {
      'atlas.hcl': 'migration {\n  dir = "file://db/steps?format=atlas"\n}\n',
      'db/steps/atlas.sum': 'h1:x',
      ...plain('db/steps'),
    },
    'Atlas',
    'db/steps',
    'atlas.hcl',
  ],
  ['Kysely', { 'src/migrations/2023-01-01_a.ts': KYSELY }, 'Kysely', 'src/migrations'],
  [
    'Kysely with a configuration',
    {
      'kysely.config.ts': "export default { migrations: { migrationFolder: 'src/steps' } };",
      'src/steps/a.ts': KYSELY,
    },
    'Kysely',
    'src/steps',
    'kysely.config.ts',
  ],
  [
    'Knex',
    {
      'knexfile.js': "module.exports = { migrations: { directory: './db/steps' } };",
      'db/steps/20230101000000_a.js': 'exports.up = (knex) => knex.schema.createTable("a");',
    },
    'Knex',
    'db/steps',
    'knexfile.js',
  ],
  [
    'Sequelize',
    {
      '.sequelizerc': "module.exports = { 'migrations-path': path.resolve('db', 'steps') };",
      'db/steps/20230101000000-a.js':
        'module.exports = { up: (queryInterface) => queryInterface.createTable("a") };',
    },
    'Sequelize',
    'db/steps',
    '.sequelizerc',
  ],
  [
    'Laravel',
    { 'database/migrations/2014_10_12_000000_create_users_table.php': '<?php' },
    'Laravel',
    'database/migrations',
  ],
  ['Rails', { 'db/migrate/20230101000000_create_users.rb': 'class' }, 'Rails', 'db/migrate'],
  ['Supabase', plain('supabase/migrations'), 'Supabase', 'supabase/migrations'],
  ['plain SQL', plain('migrations'), undefined, 'migrations'],
])(
  'histories 1: init proposes the folder of %s as core, and leaves it as it lies',
  async (_, files, tool, folder, named) => {
    write(files);
    const report = initProject(root);
    expect(report.core).toMatchObject({ folder, ...(tool && { tool }), ...(named && { named }) });
    expect([report.core?.tool, report.core?.named, report.others]).toEqual([tool, named, []]);
    const config = await loadConfig({}, { cwd: root, env: {} });
    expect(config.migrations.core).toBe(join(root, folder));
    // The configuration, and two folders of ours; none of them among the other tool's files.
    const ours = folder === 'migrations' ? 'mpm-migrate' : 'migrations';
    expect(report.files).toEqual(
      ['mpm-migrate.config.ts', `${ours}/central/.gitkeep`, `${ours}/tenants/.gitkeep`].map((file) =>
        join(root, file),
      ),
    );
    for (const each of ['central', 'tenants', 'plugins', 'seeds'] as const)
      expect(config.migrations[each]).toBe(join(root, ours, each));
    for (const [file, text] of Object.entries(files))
      expect(readFileSync(join(root, file), 'utf8')).toBe(text);
  },
);

test('histories 1: of several folders, the one that a file names is core, and the others are told with their tools', () => {
  write({
    ...plain('db/migrations', '-- +goose Up\n'),
    'db/migrations/0003_c.sql': '-- +goose Up\n',
    ...pairs('migrations'),
    ...drizzle('db/out'),
    'drizzle.config.ts': "export default { out: 'db/out' }",
  });
  const { core, others } = initProject(root);
  expect(core).toMatchObject({ folder: 'db/out', tool: 'Drizzle', migrations: 2 });
  expect(others.map(({ folder, tool, migrations }) => [folder, tool, migrations])).toEqual([
    ['db/migrations', 'goose', 3],
    ['migrations', 'golang-migrate', 1],
  ]);
});

test('histories 1: what is for another database is told, and not used', () => {
  write({ ...prisma('prisma/migrations'), 'prisma/migrations/migration_lock.toml': 'provider = "mysql"\n' });
  const { core, others, files } = initProject(root);
  expect(core).toBeUndefined();
  expect(others).toMatchObject([
    { folder: 'prisma/migrations', tool: 'Prisma', unusable: expect.stringContaining('mysql') as string },
  ]);
  expect(files.some((file) => file.endsWith('_customers.sql'))).toBe(true);
});

test('histories 1: SQL without numbers, an empty folder, a file in its place, and unreadable configurations propose nothing', () => {
  write({
    'sql/report.sql': SQL,
    'db/migrations/README.md': '#',
    migrations: 'a file',
    'drizzle.config.ts': 'export default { out: process.env.OUT ?? `${root}/x` }',
    'package.json': '{ "prisma": ',
    'flyway.conf': 'flyway.locations=filesystem:/nowhere\n',
  });
  mkdirSync(join(root, 'knexfile.js'));
  expect(findMigrations(root)).toEqual([]);
});

test('histories 1: who has core already keeps it, whatever else is there', () => {
  write({ 'migrations/core/1_a.sql': SQL, ...prisma('prisma/migrations') });
  const before = statSync(join(root, 'prisma/migrations')).mtimeMs;
  const { core, others } = initProject(root);
  expect([core, others]).toEqual([undefined, []]);
  expect(readFileSync(join(root, 'mpm-migrate.config.ts'), 'utf8')).toContain("core: 'migrations/core'");
  expect(readdirSync(join(root, 'migrations/core'))).toEqual(['1_a.sql']);
  expect(statSync(join(root, 'prisma/migrations')).mtimeMs).toBe(before);
});
