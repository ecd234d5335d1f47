import { sql, type Kysely } from 'kysely';

/** What a tariff consists of besides energy: access fee, line rental, a levy. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema.createType('charge_period').asEnum(['once', 'daily', 'monthly']).execute();
  await db.schema
    .createTable('tariff_components')
    .addColumn('id', 'integer', (column) => column.generatedAlwaysAsIdentity().primaryKey())
    .addColumn('tariff_id', 'integer', (column) =>
      column.notNull().references('tariffs.id').onDelete('cascade'),
    )
    .addColumn('name', 'text', (column) => column.notNull())
    .addColumn('amount', sql`money_amount`, (column) => column.notNull())
    .addColumn('period', sql`charge_period`, (column) => column.notNull().defaultTo('monthly'))
    .addUniqueConstraint('tariff_components_name', ['tariff_id', 'name'])
    .addCheckConstraint('tariff_components_amount', sql`amount > 0`)
    .execute();
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await db.schema.dropTable('tariff_components').execute();
  await db.schema.dropType('charge_period').execute();
}
