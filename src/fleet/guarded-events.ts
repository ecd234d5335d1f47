import type { OnEvent } from './events.ts';

/** A caller's `onEvent`, whose failures stop nothing. */
export interface GuardedEvents {
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
