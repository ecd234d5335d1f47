import type { ToolName } from '../../dialects/tool-names.ts';
import type { ErrorReport } from '../../errors.ts';
import type { DatabaseContents } from '../../tenants/adoptable.ts';

/** A database of a bulk adoption: what it holds, and what became of it. */
export interface AdoptedDatabase {
  database: string;
  /**
   * As `DatabaseContents` has it; `registered`: it is a tenant's already; `missing`: there is no such database;
   * `unreadable`: see `error`.
   */
  holds: DatabaseContents['holds'] | 'registered' | 'missing' | 'unreadable';
  /** Whose history it has, where it is another tool's. */
  tool?: ToolName;
  /** How many migrations its history holds. */
  applied?: number;
  /** Whether at least one of these is among this product's. */
  ours?: boolean;
  bytes?: number;
  /** `adoptable` without `write`. */
  outcome: 'adopted' | 'adoptable' | 'unchanged' | 'left out';
  /** Of the tenant whose it is. */
  id?: string;
  error?: ErrorReport;
}

/** What `tenant adopt` found in many databases, and did: what `--json` prints and the library returns. */
export interface AdoptReport {
  verb: 'adopt';
  server: string;
  write: boolean;
  toolVersion: string;
  startedAt: string;
  durationMs: number;
  interrupted: boolean;
  /** `adopted` counts those that would be, without `write`; `failed` those with an error. */
  counts: Record<'total' | 'adopted' | 'unchanged' | 'leftOut' | 'failed', number>;
  /** In the order of their names, which is that of their new ids. */
  databases: AdoptedDatabase[];
  /** What to type then, to take over the histories of other tools. */
  next: string[];
  /** Set when it was not done to its end. */
  error?: ErrorReport;
}
