/** The tools whose histories are read, as `--from` has them. */
export const TOOL_NAMES = [
  'prisma',
  'drizzle',
  'kysely',
  'knex',
  'typeorm',
  'sequelize',
  'mikro-orm',
  'node-pg-migrate',
  'flyway',
  'liquibase',
  'goose',
  'golang-migrate',
  'dbmate',
  'atlas',
  'sql-migrate',
  'tern',
  'sqlx',
  'diesel',
  'laravel',
  'rails',
  'django',
  'alembic',
] as const;

export type ToolName = (typeof TOOL_NAMES)[number];
