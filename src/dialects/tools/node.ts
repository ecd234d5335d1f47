import { byName, numberAt, ranked, timeAt, type Tool } from '../tool.ts';
import { classesIn, exportsOfIndex } from './modules.ts';
import { drizzleKeys, drizzleKeysOf } from './drizzle.ts';

/** The tools of JavaScript. What a row means is read from the source that is named with each. */
export const NODE = {
  // prisma/prisma-engines, schema-engine/connectors/sql-schema-connector/src/flavour/postgres.rs
  prisma: {
    tables: ['_prisma_migrations'],
    shapes: [
      'id varchar(36), checksum varchar(64), finished_at timestamptz, migration_name varchar(255), logs text, rolled_back_at timestamptz, started_at timestamptz, applied_steps_count integer',
    ],
    columns: ['migration_name', 'finished_at', 'rolled_back_at'],
    optional: ['started_at'],
    dirty: ([name, finished, rolledBack]) =>
      finished === null && rolledBack === null ? String(name) : undefined,
    entries: (rows) =>
      ranked(
        rows.filter(([, finished, rolledBack]) => finished !== null && rolledBack === null),
        byName,
        timeAt(3),
      ),
  },
  // drizzle-team/drizzle-orm, src/pg-core/dialect.ts; since 1.0 src/up-migrations/pg.ts
  drizzle: {
    tables: ['__drizzle_migrations'],
    schema: 'drizzle',
    shapes: [
      'id integer, hash text, created_at bigint',
      'id integer, hash text, created_at bigint, name text, applied_at timestamptz',
    ],
    columns: ['hash', 'created_at', 'id'],
    optional: ['name'],
    entries: (rows) =>
      ranked(
        rows,
        ([hash, when, , name]) => ({
          applied: `${when} (${hash?.slice(0, 12)})`,
          reach: 'one',
          ...(name ? { name } : { keys: drizzleKeys(String(when), String(hash)) }),
        }),
        numberAt(2),
      ),
    keysOf: drizzleKeysOf,
  },
  // kysely-org/kysely, src/migration/migrator.ts
  kysely: {
    tables: ['kysely_migration'],
    shapes: ['name varchar(255), timestamp varchar(255)'],
    columns: ['name', 'timestamp'],
    entries: (rows) => ranked(rows, (row) => ({ ...byName(row), keys: [String(row[0])] }), timeAt(1)),
    keysOf: exportsOfIndex,
  },
  // knex/knex, lib/migrations/migrate/table-creator.js
  knex: {
    tables: ['knex_migrations'],
    shapes: ['id integer, name varchar(255), batch integer, migration_time timestamptz'],
    columns: ['name', 'id'],
    entries: (rows) => ranked(rows, byName, numberAt(1)),
  },
  // typeorm/typeorm, src/migration/MigrationExecutor.ts: the name is that of the class, its last 13 digits the time
  typeorm: {
    tables: ['migrations'],
    shapes: ['id integer, timestamp bigint, name varchar'],
    columns: ['name', 'timestamp', 'id'],
    orders: ['version'],
    entries: (rows) =>
      ranked(
        rows,
        ([name, timestamp]) => ({
          applied: String(name),
          reach: 'one',
          name: String(name),
          keys: [String(name)],
          version: String(timestamp),
          words: String(name).replace(new RegExp(`${timestamp}$`), ''),
          joined: true,
        }),
        numberAt(2),
      ),
    keysOf: classesIn,
  },
  // sequelize/umzug, src/storage/sequelize.ts; sequelize/cli, src/core/migrator.js
  sequelize: {
    tables: ['SequelizeMeta'],
    shapes: ['name varchar', 'name varchar, createdAt timestamptz, updatedAt timestamptz'],
    columns: ['name'],
    entries: (rows) => rows.map(byName),
  },
  // mikro-orm/mikro-orm, packages/migrations/src/MigrationStorage.ts; until version 4 with the file's extension
  'mikro-orm': {
    tables: ['mikro_orm_migrations'],
    shapes: ['id integer, name varchar, executed_at timestamptz'],
    columns: ['name', 'id'],
    entries: (rows) => ranked(rows, byName, numberAt(1)),
  },
  // salsita/node-pg-migrate, src/migration.ts and src/runner.ts
  'node-pg-migrate': {
    tables: ['pgmigrations'],
    shapes: ['id integer, name varchar(255), run_on timestamp'],
    columns: ['name', 'id'],
    entries: (rows) => ranked(rows, byName, numberAt(1)),
  },
} satisfies Record<string, Tool>;
