import type { ErrorReport } from '../../errors.ts';
import type { RunEvent, OnEvent } from '../../fleet/events.ts';
import type { TenantRef, TenantResult } from '../../fleet/report/report.ts';
import { oneLine, widthOf } from '../format.ts';
import type { DisplayEnvironment, Theme } from '../theme.ts';
import { tenantName } from '../views/tenant.ts';
import { ExpectedWork } from './expected.ts';

/** A tenant in work. Times in ms since the run's start. */
export interface Lane {
  name: string;
  since: number;
  step?: { name: string; index: number; count: number };
  /** Why it stands still. */
  waiting?: string;
}

/** Tenants that failed the same way so far. */
export interface FailureLine {
  name: string;
  count: number;
  message: string;
  migration?: string;
}

export type FailureKey = (error: ErrorReport, tenant: TenantRef) => string;

/** So many ways to fail are told apart while it runs; the report has the rest. */
const MOST_FAILURES = 50;

/** What the progress knows, built from events alone. Its size is that of the lanes, not of the fleet. */
export class ProgressState {
  verb = '';
  selection = '';
  run: number | null = null;
  total: number | null = null;
  done = 0;
  failed = 0;
  /** Gave up their lane until they are tried again. */
  waitingForRetry = 0;
  /** Columns that the widest name so far takes: what is painted must not jump to and fro. */
  widestName = 0;
  stopping = false;
  finished = false;
  /** Of a run whose tenants are known to be uneven. */
  expected: ExpectedWork | undefined;
  readonly lanes = new Map<string, Lane>();
  readonly failures = new Map<string, FailureLine>();
  readonly #retrying = new Set<string>();
  readonly #failureKey: FailureKey;

  constructor(failureKey: FailureKey) {
    this.#failureKey = failureKey;
  }

  /** Takes an event in; returns the failure when it is one. */
  take(event: RunEvent): FailureLine | undefined {
    this.expected?.take(event);
    switch (event.type) {
      case 'run-started':
        this.verb = event.verb;
        this.selection = event.selection;
        this.run = event.run;
        this.total = event.total;
        if (event.expectedMs) this.expected = new ExpectedWork(event.expectedMs);
        return undefined;
      case 'tenant-started':
        this.#start(event.tenant, event.at);
        return undefined;
      case 'migration-started': {
        const lane = this.#start(event.tenant, event.at);
        const { name, index, count } = event;
        lane.step = { name, index, count };
        delete lane.waiting;
        return undefined;
      }
      case 'tenant-waiting':
        this.#wait(event);
        return undefined;
      case 'tenant-finished':
        return this.#finish(event.result);
      case 'run-finished':
        this.finished = true;
        return undefined;
      case 'wave-started':
      case 'wave-finished':
      case 'notice':
        return undefined;
    }
  }

  #start(tenant: TenantRef, at: number): Lane {
    const known = this.lanes.get(tenant.id);
    if (known) return known;
    if (this.#retrying.delete(tenant.id)) this.waitingForRetry -= 1;
    const lane: Lane = { name: tenantName(tenant), since: at };
    this.widestName = Math.max(this.widestName, widthOf(lane.name));
    this.lanes.set(tenant.id, lane);
    return lane;
  }

  #wait({ tenant, reason, retryInMs, at }: RunEvent & { type: 'tenant-waiting' }): void {
    if (retryInMs === undefined) {
      this.#start(tenant, at).waiting = oneLine(reason);
      return;
    }
    this.lanes.delete(tenant.id);
    if (this.#retrying.has(tenant.id)) return;
    this.#retrying.add(tenant.id);
    this.waitingForRetry += 1;
  }

  #finish({ tenant, outcome, error }: TenantResult): FailureLine | undefined {
    this.lanes.delete(tenant.id);
    if (this.#retrying.delete(tenant.id)) this.waitingForRetry -= 1;
    // Those that are not tried any more would run the number up to the end in a moment.
    if (outcome === 'skipped' && this.stopping) return undefined;
    this.done += 1;
    if (outcome !== 'failed' && outcome !== 'refused' && outcome !== 'busy') return undefined;
    this.failed += 1;
    return error && this.#fail(tenant, error);
  }

  #fail(tenant: TenantRef, error: ErrorReport): FailureLine {
    const exact = this.#failureKey(error, tenant);
    const key = this.failures.has(exact) || this.failures.size < MOST_FAILURES ? exact : 'others';
    const known = this.failures.get(key);
    const code = error.database?.code;
    const message = oneLine(error.message.split('\n')[0] ?? '') + (code ? ` (${code})` : '');
    const { migration } = error;
    const count = (known?.count ?? 0) + 1;
    const one = {
      name: tenantName(tenant),
      count,
      message,
      ...(migration ? { migration: oneLine(migration) } : {}),
    };
    // What is kept of a group is its first tenant; what is returned is this one.
    if (known) known.count = count;
    else this.failures.set(key, key === 'others' ? { ...one, message: 'failed in other ways' } : { ...one });
    return one;
  }
}

const DOING: Record<string, [now: string, then: string]> = {
  up: ['Migrating', 'Migrated'],
  verify: ['Verifying', 'Verified'],
  check: ['Comparing with', 'Compared with'],
  down: ['Reverting', 'Reverted'],
  status: ['Checking', 'Checked'],
  exec: ['Running SQL on', 'Ran SQL on'],
  plan: ['Planning', 'Planned'],
  rehearse: ['Rehearsing', 'Rehearsed'],
  repair: ['Repairing', 'Repaired'],
  baseline: ['Recording', 'Recorded'],
  resolve: ['Resolving', 'Resolved'],
  sync: ['Copying to', 'Copied to'],
  adopt: ['Looking into', 'Looked into'],
  'plugin install': ['Installing', 'Installed'],
  'plugin uninstall': ['Uninstalling', 'Uninstalled'],
};

/** `Migrating`: what the verb does, while it does it; `Migrated` after its end. */
export function doing({
  verb,
  stopping,
  finished,
}: Pick<ProgressState, 'verb' | 'stopping' | 'finished'>): string {
  const [now, then] = DOING[verb.replace(/^(plugin \w+).*/, '$1')] ?? [`Running ${verb}`, `Ran ${verb}`];
  if (finished) return stopping ? 'Stopped' : then;
  return stopping ? 'Stopping' : now;
}

/** How often the number of finished tenants is noted, and for how many ms back a rate is taken. */
const STEP = 250;
/** Ms at the start in which nothing is said. */
const SILENT = 2_000;
const SHORTEST_WINDOW = 5_000;
const LONGEST_WINDOW = 60_000;

/**
 * Estimates the time left from the rate of the last while, not of the whole run: tenants are uneven, lanes come
 * and go. Holds a bounded number of samples, whatever the fleet's size.
 */
export class Eta {
  readonly #samples: { at: number; done: number }[] = [];

  /** Notes how many tenants are done; `at` is ms since the start, and never goes back. */
  note(at: number, done: number): void {
    const last = this.#samples.at(-1);
    if (last && at - last.at < STEP) return;
    this.#samples.push({ at, done });
    while ((this.#samples[1]?.at ?? at) < at - LONGEST_WINDOW) this.#samples.shift();
  }

  /**
   * Ms left, or undefined while nothing meaningful can be said: at the start, when nothing ended for a while, and
   * at the end, when no tenant is left to be started and what is running may take any time.
   */
  left(now: { at: number; done: number; total: number; running: number }): number | undefined {
    const { at, done, total, running } = now;
    const remaining = total - done;
    if (at < SILENT || done < Math.max(5, running) || remaining <= running) return undefined;
    const window = Math.min(LONGEST_WINDOW, Math.max(SHORTEST_WINDOW, at / 3));
    const from = this.#samples.findLast((sample) => sample.at <= at - window) ?? this.#samples[0];
    if (!from || at - from.at < 1_000 || done - from.done < 3) return undefined;
    return (remaining * (at - from.at)) / (done - from.done);
  }
}

/** Ms left of a run at a time since its start, in ms, if it can be said. */
export function timeLeft(state: ProgressState, eta: Eta, at: number): number | undefined {
  const { done, total, lanes, expected, stopping } = state;
  if (total === null || stopping) return undefined;
  return expected && at >= SILENT ? expected.left(at) : eta.left({ at, done, total, running: lanes.size });
}

/** `about 10s left`, rounder the further away it is; takes ms. */
export function aboutLeft(ms: number): string {
  const seconds = Math.ceil(ms / 1000);
  if (seconds <= 10) return `about ${seconds}s left`;
  if (seconds < 55) return `about ${Math.ceil(seconds / 5) * 5}s left`;
  const minutes = Math.ceil(seconds / 60);
  return minutes < 60
    ? `about ${minutes}m left`
    : `about ${Math.floor(minutes / 60)}h ${String(minutes % 60).padStart(2, '0')}m left`;
}

/** The progress of one run. */
export interface Progress {
  onEvent: OnEvent;
  /** A line that stays. */
  note(text: string): void;
  /** Shows that no more tenants are started. */
  stopping(): void;
  /** Takes the frame away while somebody is asked something. */
  aside<T>(act: () => Promise<T>): Promise<T>;
  /** Ends it: nothing is painted any more, the terminal is as before. */
  stop(): Promise<void>;
}

export interface ProgressOptions {
  /** Where it goes: stderr. */
  stream: NodeJS.WriteStream;
  env: DisplayEnvironment;
  theme: Theme;
  /** What two equal failures have in common. */
  failureKey: FailureKey;
  /** Leave the last frame standing, because the report goes elsewhere. */
  keep: boolean;
  write(text: string): void;
  /** Ms, monotonic. */
  clock(): number;
}
