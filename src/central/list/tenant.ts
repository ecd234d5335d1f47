/** A company and its database, as the central database lists it. */
export interface Tenant {
  /** As text, whatever type the central database gives it. */
  id: string;
  name: string;
  /** Empty when the central database names none: `tenantProblem` says so. */
  database: string;
  /** A name of `servers` in the configuration; `default` is the central database's own server. */
  server: string;
  /** `active` is migrated; anything else is passed by, and named as the reason. Ours: active, provisioning, failed, hold. */
  status: string;
  /** Why it is on hold, or at which step its creation failed. */
  reason?: string;
  labels: Record<string, string>;
  /** Names of its plugins; absent when it has none. */
  plugins?: readonly string[];
  /** Set when the list contradicts itself about this tenant; `tenantProblem` makes an error of it. */
  clash?: TenantClash;
}

/** `id`: the list has this id more than once. `database`: an earlier tenant (`with`) has the same database. */
export type TenantClash = { kind: 'id' } | { kind: 'database'; with: string };
