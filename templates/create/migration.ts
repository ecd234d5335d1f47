import { type Kysely } from 'kysely';

// `any`: the types of tables follow the schema as it grows, a migration stays as it was written.
export async function up(db: Kysely<any>): Promise<void> {
  // await db.schema.alterTable('customers').addColumn('note', 'text').execute();
  // await sql`update customers set note = ''`.execute(db);   // import { sql } from 'kysely'
}

export async function down(db: Kysely<any>): Promise<void> {
  // await db.schema.alterTable('customers').dropColumn('note').execute();
}
