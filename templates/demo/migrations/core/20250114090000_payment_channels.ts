import { sql, type Kysely } from 'kysely';

interface Database {
  payment_channels: { code: string; name: string; kind: 'mobile_money' | 'agent' | 'cash' | 'bank' };
}

export async function up(db: Kysely<Database>): Promise<void> {
  await db.schema
    .createTable('payment_channels')
    .addColumn('code', 'text', (column) => column.primaryKey().check(sql`code ~ '^[a-z][a-z0-9_]*$'`))
    .addColumn('name', 'text', (column) => column.notNull())
    .addColumn('kind', 'text', (column) =>
      column.notNull().check(sql`kind in ('mobile_money', 'agent', 'cash', 'bank')`),
    )
    .addColumn('active', 'boolean', (column) => column.notNull().defaultTo(true))
    .execute();

  await db
    .insertInto('payment_channels')
    .values([
      { code: 'mpesa', name: 'M-PESA', kind: 'mobile_money' },
      { code: 'airtel', name: 'Airtel Money', kind: 'mobile_money' },
      { code: 'vodacom', name: 'Vodacom M-Pesa', kind: 'mobile_money' },
      { code: 'agent', name: 'Agent', kind: 'agent' },
      { code: 'cash', name: 'Cash at the office', kind: 'cash' },
    ])
    .execute();
}

export async function down(db: Kysely<Database>): Promise<void> {
  await db.schema.dropTable('payment_channels').execute();
}
