import { sql, type Kysely } from 'kysely';

export async function up(db: Kysely<unknown>): Promise<void> {
  await sql`
    create view monthly_revenue as
    select
      date_trunc('month', paid_at at time zone 'UTC')::date as month,
      channel,
      count(*) as payments,
      sum(amount)::money_amount as amount
    from payments
    where status = 'confirmed'
    group by 1, 2
  `.execute(db);
  await sql`comment on view monthly_revenue is 'Confirmed payments by month and channel, in UTC.'`.execute(
    db,
  );
}

export async function down(db: Kysely<unknown>): Promise<void> {
  await db.schema.dropView('monthly_revenue').execute();
}
