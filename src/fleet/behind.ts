import type { Config } from '../config/define.ts';
import { compareNames } from '../migration/name.ts';
import { compareIds } from './ids.ts';
import type { TenantRef } from './report.ts';

/** So many are named. */
const NAMED = 5;

/**
 * How many core migrations a tenant's own folder lacks that it is not meant to lack, up to the one with which a run
 * ends.
 */
export function behindCore(
  { folders }: Pick<Config, 'folders'>,
  lacksCore: readonly string[],
  to?: string,
): number {
  if (folders === 'pinned') return 0;
  return to === undefined ? lacksCore.length : lacksCore.filter((name) => compareNames(name, to) <= 0).length;
}

/** Who is behind core (fleet 32): how many, and the first of them. */
export class BehindCore {
  #count = 0;
  readonly #first: TenantRef[] = [];

  add({ id, name, database, server }: TenantRef): void {
    this.#count += 1;
    if (this.#first.length < NAMED) this.#first.push({ id, name, database, server });
  }

  /** As reports say it. */
  get said(): { foldersBehind: number; behindCore?: TenantRef[] } {
    const behindCore = this.#first.toSorted((a, b) => compareIds(a.id, b.id));
    return { foldersBehind: this.#count, ...(this.#count ? { behindCore } : {}) };
  }
}
