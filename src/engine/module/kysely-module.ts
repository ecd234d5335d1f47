import type { KyselyPlugin, RawBuilder } from 'kysely';

/** Called with each `sql` text; what it returns follows the text, and whatever is built from it. */
export type FollowText = (
  text: RawBuilder<unknown>,
  /** As it was written. */
  what: string,
  /** The function that the module called. */
  below: object,
) => KyselyPlugin | undefined;

/**
 * The Kysely that runs, in full: what a migration's own `import … from 'kysely'` is answered with. Its file
 * may lie where no Kysely can be found, and two copies do not know each other. Only its `sql` is one of our own,
 * because nothing else tells of a text that was never executed.
 */
export async function kyselyModule(follow: FollowText): Promise<unknown> {
  const kysely = await import('kysely');
  const followed = <T>(text: RawBuilder<T>, what: string, below: object): RawBuilder<T> => {
    const plugin = follow(text as RawBuilder<unknown>, what, below);
    return plugin ? text.withPlugin(plugin) : text;
  };
  const tag = <T>(fragments: TemplateStringsArray, ...values: unknown[]): RawBuilder<T> =>
    followed(kysely.sql<T>(fragments, ...values), `sql\`${fragments.join('…')}\``, tag);
  const raw = <T>(text: string): RawBuilder<T> =>
    followed(kysely.sql.raw<T>(text), `sql.raw('${text}')`, raw);
  const sql: typeof kysely.sql = Object.assign(tag, kysely.sql, { raw });
  return { ...kysely, sql };
}
