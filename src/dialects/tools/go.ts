import { byName, byVersion, numberAt, ranked, type Row, timeAt, type Tool } from '../tool.ts';

/** Of a version, the last row says whether it is applied; version 0 only says that the table is there. */
function gooseRows(rows: readonly Row[]): Row[] {
  const last = new Map<string, Row>();
  for (const row of rows.toSorted((a, b) => numberAt(2)(a) - numberAt(2)(b))) last.set(String(row[0]), row);
  return [...last.values()].filter(([version, applied]) => version !== '0' && applied === 't');
}

const ATLAS_BASELINE = 1;

/** The tools of Go. What a row means is read from the source that is named with each. */
export const GO = {
  // pressly/goose, internal/dialect/dialectquery/postgres.go; since 3.22 `id` is an identity. Down once wrote a row
  // of its own, and deletes one today.
  goose: {
    tables: ['goose_db_version'],
    shapes: ['id integer, version_id bigint, is_applied boolean, tstamp timestamp'],
    columns: ['version_id', 'is_applied', 'id'],
    orders: ['version'],
    entries: (rows) => ranked(gooseRows(rows), byVersion('one'), numberAt(2)),
  },
  // golang-migrate/migrate, database/postgres/postgres.go: it keeps the last version only, so all before are applied
  'golang-migrate': {
    tables: ['schema_migrations'],
    shapes: ['version bigint, dirty boolean'],
    columns: ['version', 'dirty'],
    dirty: ([version, dirty]) => (dirty === 't' ? String(version) : undefined),
    entries: (rows) => rows.filter(([version]) => Number(version) >= 0).map(byVersion('up-to')),
  },
  // amacneil/dbmate, pkg/driver/postgres/postgres.go
  dbmate: {
    tables: ['schema_migrations'],
    shapes: ['version varchar(128)', 'version varchar(255)'],
    columns: ['version'],
    entries: (rows) => rows.map(byVersion('one')),
  },
  // ariga/atlas, cmd/atlas/internal/migrate/ent/schema/revision.go and sql/migrate/migrate.go; what begins with a point
  // is no version
  atlas: {
    tables: ['atlas_schema_revisions'],
    schema: 'atlas_schema_revisions',
    shapes: [
      'version varchar, description varchar, type bigint, applied bigint, total bigint, executed_at timestamptz, execution_time bigint, error text, error_stmt text, hash varchar, partial_hashes jsonb, operator_version varchar',
      'version varchar, description varchar, type bigint, applied bigint, total bigint, executed_at timestamptz, execution_time bigint, error text, hash varchar, partial_hashes jsonb, operator_version varchar',
    ],
    columns: ['version', 'description', 'type', 'applied', 'total', 'error', 'executed_at'],
    dirty: ([version, description, , applied, total, error]) =>
      error || Number(applied) < Number(total) ? `${version} ${description}`.trim() : undefined,
    entries: (rows) =>
      ranked(
        rows.filter(([version]) => !version?.startsWith('.')),
        ([version, words, type]) => ({
          applied: `${version} ${words}`.trim(),
          version: String(version),
          ...(Number(type) === ATLAS_BASELINE ? { reach: 'below' } : { reach: 'one', words: String(words) }),
        }),
        timeAt(6),
      ),
  },
  // rubenv/sql-migrate, migrate.go
  'sql-migrate': {
    tables: ['gorp_migrations'],
    shapes: ['id text, applied_at timestamptz', 'id text, checksum text, applied_at timestamptz'],
    columns: ['id', 'applied_at'],
    orders: ['version'],
    entries: (rows) => ranked(rows, byName, timeAt(1)),
  },
  // jackc/tern, migrate/migrate.go: one row, the number of the last migration
  tern: {
    tables: ['schema_version'],
    shapes: ['version integer'],
    columns: ['version'],
    entries: (rows) => rows.filter(([version]) => Number(version) > 0).map(byVersion('up-to')),
  },
} satisfies Record<string, Tool>;
