/** What a file says of its being copied: each tenant runs it for itself, or all are to have the same of it (fleet 45). */
export type Share = 'per-tenant' | 'shared';

export const SHARE_HINT = 'write -- mpm:per-tenant, or -- mpm:shared';

/** @param text a comment from `mpm:` on; undefined: it says neither */
export function shareOf(text: string): Share | undefined {
  const [, word] = /^mpm:(\S+)/.exec(text) ?? [];
  return word === 'per-tenant' || word === 'shared' ? word : undefined;
}
