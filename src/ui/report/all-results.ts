import type { TenantResult } from '../../fleet/report.ts';

/** What is known of a server's tenants without reading their results again. Times in ms. */
export interface ServerSum {
  tenants: number;
  failed: number;
  skipped: number;
  durationMs: number;
}

/** Every tenant's result, also of a fleet that does not fit into memory: read again for each report. */
export interface AllResults {
  /** By server, in the order in which they were first heard of. */
  servers: ReadonlyMap<string, ServerSum>;
  /** In the order in which they ended; of one server, or of all. */
  read(server?: string): AsyncIterable<TenantResult>;
}
