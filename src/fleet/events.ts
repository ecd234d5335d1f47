import type { RunReport, TenantRef, TenantResult, WaveReport } from './report/report.ts';

/** What happens in a run, as it happens. `at` is ms since the run's start. */
export type RunEvent =
  | {
      type: 'run-started';
      at: number;
      run: number | null;
      verb: string;
      total: number | null;
      selection: string;
      /** Only tenants with something to do are selected: of the others nothing is reported. */
      behind?: true;
      /** Where some are known to take long: ms of each server's tenants, one after the other. */
      expectedMs?: Record<string, number>;
    }
  | {
      type: 'tenant-started';
      at: number;
      tenant: TenantRef;
      /** As long as it took the last time, or one like it, in ms; where some are known to take long. */
      expectedMs?: number;
    }
  | {
      type: 'migration-started';
      at: number;
      tenant: TenantRef;
      name: string;
      direction: 'up' | 'down';
      index: number;
      count: number;
    }
  | { type: 'tenant-waiting'; at: number; tenant: TenantRef; reason: string; retryInMs?: number }
  | { type: 'tenant-finished'; at: number; result: TenantResult }
  | { type: 'wave-started'; at: number; name: string; total: number }
  | { type: 'wave-finished'; at: number; wave: WaveReport }
  | { type: 'notice'; at: number; message: string }
  | { type: 'run-finished'; at: number; report: RunReport };

/** A promise that it returns for the end of a tenant holds that tenant's lane until it is settled. */
export type OnEvent = (event: RunEvent) => unknown;

/** An event before it is known when it happened. */
export type Unstamped = RunEvent extends infer Event
  ? Event extends RunEvent
    ? Omit<Event, 'at'>
    : never
  : never;

/** A caller's `onEvent`, whose failures stop nothing. */
interface GuardedEvents {
  onEvent: OnEvent;
  /** Adds what failed to a report's notices. */
  tell(report: unknown): void;
}

/** Guards what is called at every event: that it throws, or what it returns rejects, is told once and no more. */
export function guardEvents(onEvent: OnEvent): GuardedEvents {
  let failures = 0;
  let first = '';
  const fail = (type: string, error: unknown): void => {
    failures += 1;
    first ||= `onEvent failed at ${type}: ${error instanceof Error ? error.message : String(error)}`;
  };
  return {
    onEvent: (event) => {
      try {
        const returned = onEvent(event);
        return returned instanceof Promise
          ? returned.catch((error: unknown) => fail(event.type, error))
          : returned;
      } catch (error) {
        return fail(event.type, error);
      }
    },
    tell: (report) => {
      const { notices } = (report ?? {}) as { notices?: unknown };
      if (failures && Array.isArray(notices)) {
        notices.push(failures > 1 ? `${first} (and ${failures - 1} more times)` : first);
      }
    },
  };
}
