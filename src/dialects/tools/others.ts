import {
  type AppliedElsewhere,
  byName,
  byVersion,
  numberAt,
  ranked,
  type Row,
  timeAt,
  type Tool,
} from '../tool.ts';
import { changesetKeys, changesetKeysOf } from './liquibase.ts';

/** Of a version that was undone or deleted the last row says so; a baseline stands for all before it. */
function flywayEntries(rows: readonly Row[]): AppliedElsewhere[] {
  const last = new Map<string, Row>();
  for (const row of rows.toSorted((a, b) => Number(a[0]) - Number(b[0]))) {
    if (row[1] !== null && row[1] !== undefined) last.set(row[1], row);
  }
  const applied = [...last.values()].filter(([, , , type]) => type !== 'DELETE' && !type?.startsWith('UNDO'));
  return ranked(
    applied,
    ([, version, description, type]) => {
      const all = type?.endsWith('BASELINE') ?? false;
      return {
        applied: `${version} ${description}`,
        reach: all ? 'below' : 'one',
        version: String(version),
        ...(all ? {} : { words: String(description) }),
      };
    },
    numberAt(0),
  );
}

/** A file stands for its changesets, which have a row each. */
function liquibaseEntries(rows: readonly Row[]): AppliedElsewhere[] {
  const files = new Map<string, Row[]>();
  for (const row of rows.toSorted((a, b) => numberAt(1)(a) - numberAt(1)(b)))
    files.set(String(row[0]), [...(files.get(String(row[0])) ?? []), row]);
  return [...files].map(([file, own]) => ({
    applied: own.length === 1 ? file : `${file} (${own.length} changesets)`,
    reach: 'one',
    keys: changesetKeys(file, own.length),
    rank: numberAt(1)(own[0] ?? []),
  }));
}

const LARAVEL = /^(\d{4}_\d{2}_\d{2}_\d{6})(?:_(.*))?$/s;

function laravelEntry(row: Row): AppliedElsewhere {
  const entry = byName(row);
  const [, date, words = ''] = LARAVEL.exec(entry.applied) ?? [];
  return date ? { ...entry, version: date, words, shared: true } : entry;
}

const FLYWAY =
  'installed_rank integer, version varchar(50), description varchar(200), type varchar(20), script varchar(1000), checksum integer, installed_by varchar(100), installed_on timestamp, execution_time integer, success boolean';
const LIQUIBASE =
  'id varchar, author varchar, filename varchar, dateexecuted timestamp, orderexecuted integer, exectype varchar(10), md5sum varchar(35), description varchar, comments varchar, tag varchar, liquibase varchar(20)';

/** The tools of Java, Rust, PHP, Ruby, and Python. What a row means is read from the source that is named with each. */
export const OTHERS = {
  // flyway/flyway, createMetaDataTable.sql of PostgreSQL; before 5 it was called schema_version, before 4 with one more column
  flyway: {
    tables: ['flyway_schema_history', 'schema_version'],
    shapes: [FLYWAY, `version_rank integer, ${FLYWAY}`],
    columns: ['installed_rank', 'version', 'description', 'type', 'script', 'success'],
    orders: ['version'],
    dirty: ([, , , , script, success]) => (success === 't' ? undefined : String(script)),
    entries: flywayEntries,
  },
  // liquibase/liquibase, CreateDatabaseChangeLogTableGenerator.java; contexts, labels, and the rest came one by one
  liquibase: {
    tables: ['databasechangelog'],
    shapes: [
      LIQUIBASE,
      `${LIQUIBASE}, contexts varchar, labels varchar`,
      `${LIQUIBASE}, contexts varchar, labels varchar, deployment_id varchar(10)`,
      `${LIQUIBASE}, contexts varchar, labels varchar, deployment_id varchar(10), execution_milliseconds integer`,
    ],
    columns: ['filename', 'orderexecuted', 'exectype', 'id'],
    dirty: ([file, , type, id]) => (type === 'FAILED' ? `${file}::${id}` : undefined),
    entries: (rows) => liquibaseEntries(rows.filter(([, , type]) => type !== 'SKIPPED')),
    keysOf: changesetKeysOf,
  },
  // launchbadge/sqlx, sqlx-postgres/src/migrate.rs
  sqlx: {
    tables: ['_sqlx_migrations'],
    shapes: [
      'version bigint, description text, installed_on timestamptz, success boolean, checksum bytea, execution_time bigint',
    ],
    columns: ['version', 'description', 'success', 'installed_on'],
    orders: ['version'],
    dirty: ([version, words, success]) => (success === 't' ? undefined : `${version} ${words}`),
    entries: (rows) =>
      ranked(
        rows,
        ([version, words]) => ({
          applied: `${version} ${words}`,
          reach: 'one',
          version: String(version),
          words: String(words),
        }),
        timeAt(3),
      ),
  },
  // diesel-rs/diesel, diesel/src/migration/setup_migration_table.sql: the version is the folder's name up to `_`, without `-`
  diesel: {
    tables: ['__diesel_schema_migrations'],
    shapes: ['version varchar(50), run_on timestamp'],
    columns: ['version', 'run_on'],
    entries: (rows) => ranked(rows, byVersion('one'), timeAt(1)),
  },
  // laravel/framework, src/Illuminate/Database/Migrations/DatabaseMigrationRepository.php; before 5.3 without `id`
  laravel: {
    tables: ['migrations'],
    shapes: ['id integer, migration varchar, batch integer', 'migration varchar, batch integer'],
    columns: ['migration'],
    optional: ['id'],
    entries: (rows) => ranked(rows, laravelEntry, numberAt(1)),
  },
  // rails/rails, activerecord/lib/active_record/schema_migration.rb and internal_metadata.rb; before 4.2 with a length,
  // before 5 without the other table
  rails: {
    tables: ['schema_migrations'],
    shapes: ['version varchar()', 'version varchar(255)'],
    mark: 'ar_internal_metadata',
    columns: ['version'],
    heads: true,
    entries: (rows) => rows.map(byVersion('one')),
  },
  // django/django, django/db/migrations/recorder.py; `id` is bigint since 3.2
  django: {
    tables: ['django_migrations'],
    shapes: [
      'id integer, app varchar(255), name varchar(255), applied timestamptz',
      'id bigint, app varchar(255), name varchar(255), applied timestamptz',
    ],
    columns: ['app', 'name'],
    heads: true,
    entries: (rows) => rows.map(([app, name]) => ({ applied: `${app}.${name}`, reach: 'one' })),
  },
  // sqlalchemy/alembic, alembic/ddl/impl.py: a row for each head
  alembic: {
    tables: ['alembic_version'],
    shapes: ['version_num varchar(32)'],
    columns: ['version_num'],
    heads: true,
    entries: (rows) => rows.map(([version]) => ({ applied: String(version), reach: 'one' })),
  },
} satisfies Record<string, Tool>;
