import { sql, type Kysely } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await db.schema
    .createTable('agent_commissions')
    .addColumn('id', 'bigint', (column) => column.generatedAlwaysAsIdentity().primaryKey())
    .addColumn('agent_id', 'integer', (column) => column.notNull().references('agents.id'))
    .addColumn('payment_id', 'bigint', (column) => column.notNull().unique().references('payments.id'))
    .addColumn('amount', sql`money_amount`, (column) => column.notNull())
    .addColumn('earned_at', 'timestamptz', (column) => column.notNull().defaultTo(sql`now()`))
    .addColumn('paid_out_at', 'timestamptz')
    .execute();
  await db.schema
    .createIndex('agent_commissions_owed')
    .on('agent_commissions')
    .column('agent_id')
    .where(sql.ref('paid_out_at'), 'is', null)
    .execute();
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await db.schema.dropTable('agent_commissions').execute();
}
