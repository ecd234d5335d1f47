import { sql, type Kysely } from 'kysely';

/** Devices are paid for in instalments. */
export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('payment_plans')
    .addColumn('id', 'bigint', (column) => column.generatedAlwaysAsIdentity().primaryKey())
    .addColumn('customer_id', 'bigint', (column) => column.notNull().references('customers.id'))
    .addColumn('device_id', 'bigint', (column) => column.references('solar_home_devices.id'))
    .addColumn('total', sql`money_amount`, (column) => column.notNull().check(sql`total > 0`))
    .addColumn('instalments', 'smallint', (column) =>
      column.notNull().check(sql`instalments between 1 and 60`),
    )
    .addColumn('starts_on', 'date', (column) => column.notNull())
    .addColumn('instalment', sql`money_amount`, (column) =>
      column.generatedAlwaysAs(sql`round(total / instalments, 2)`).stored(),
    )
    .execute();
  await db.schema.createIndex('payment_plans_customer').on('payment_plans').column('customer_id').execute();
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await db.schema.dropTable('payment_plans').execute();
}
