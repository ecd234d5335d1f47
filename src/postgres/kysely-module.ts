/**
 * The Kysely that runs, in full: what a migration's own `import … from 'kysely'` is answered with. Its file
 * may lie where no Kysely can be found, and two copies do not know each other.
 */
export async function kyselyModule(): Promise<unknown> {
  return import('kysely');
}
