import { sql, type Kysely } from 'kysely';

interface Database {
  connection_groups: { id: number; name: string };
  meters: { id: number; connection_group_id: number | null };
}

/** Every meter belongs to a group from here on: those without one are put into "Residential". */
export async function up(db: Kysely<Database>): Promise<void> {
  const { id } = await db
    .insertInto('connection_groups')
    .values({ name: 'Residential' } as { id: number; name: string })
    .onConflict((conflict) => conflict.column('name').doUpdateSet({ name: 'Residential' }))
    .returning('id')
    .executeTakeFirstOrThrow();
  await db
    .updateTable('meters')
    .set({ connection_group_id: id })
    .where('connection_group_id', 'is', null)
    .execute();
  await sql`alter table meters alter column connection_group_id set not null`.execute(db);
}

export async function down(db: Kysely<Database>): Promise<void> {
  await sql`alter table meters alter column connection_group_id drop not null`.execute(db);
}
