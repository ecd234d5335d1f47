import type { WalkContext } from '../context.ts';
import { concurrencyOf } from './sweep.ts';

/** How many of a walk's tenants are in work at once on a server. @param concurrency what is asked for */
export async function lanesAt(
  { config, tenants, views }: Pick<WalkContext, 'config' | 'tenants' | 'views'>,
  server: string,
  concurrency: number | undefined,
): Promise<number> {
  const { count } = tenants.servers.find((each) => each.server === server) ?? { count: 1 };
  return Math.min(count, await concurrencyOf(config, { server, count }, concurrency, views));
}
