import type { Config } from '../config/define.ts';
import { MpmError } from '../errors.ts';
import {
  type ProvisionInput,
  provision as provisionTenant,
  resumeProvision as resumeTenant,
} from '../tenant/provision.ts';
import type { ProvisionOptions, ProvisionReport } from '../tenant/creation.ts';
import type { RunReport } from './report.ts';
import type { Selection } from './select.ts';
import type { StatusReport } from './status-report.ts';
import { type DownOptions, down } from './verbs/down.ts';
import { type ExecOptions, type ExecReport, exec } from './verbs/exec.ts';
import { type StatusOptions, status } from './verbs/status.ts';
import { type UpOptions, up } from './verbs/up.ts';

/**
 * A fleet of tenants, as the library offers it: what the commands do, with the same defaults. Nothing here
 * prints, reads the environment or ends the process.
 */
export class Fleet implements AsyncDisposable {
  readonly #config: Config;
  readonly #closing = new AbortController();
  readonly #running = new Set<Promise<unknown>>();

  constructor(config: Config) {
    this.#config = config;
  }

  /** Applies what is pending. What happens to tenants is in the report; throws only before the first of them. */
  up(selection: Selection, options: UpOptions = {}): Promise<RunReport> {
    return this.#run(options, (rest) => up(this.#config, selection, rest));
  }

  /** Takes back what was applied last. Throws as {@link up}. */
  down(selection: Selection, options: DownOptions = {}): Promise<RunReport> {
    return this.#run(options, (rest) => down(this.#config, selection, rest));
  }

  /** Runs SQL, read-only unless `write`; a tenant's rows come whole or not at all. Throws as {@link up}. */
  exec(selection: Selection, sql: string, options: ExecOptions = {}): Promise<ExecReport> {
    return this.#run(options, (rest) => exec(this.#config, selection, sql, rest));
  }

  /** Where tenants stand; reads only. Throws as {@link up}. */
  status(selection: Selection, options: StatusOptions = {}): Promise<StatusReport> {
    return this.#run(options, (rest) => status(this.#config, selection, rest));
  }

  /**
   * Creates a tenant with its database, migrated.
   * @throws MpmError PROVISION_FAILED with what this call made undone, and others before anything is made
   */
  provision(input: ProvisionInput, options: ProvisionOptions = {}): Promise<ProvisionReport> {
    return this.#run(options, (rest) => provisionTenant(this.#config, input, rest));
  }

  /** Goes on with a creation that failed half-way, by the tenant's id. Throws as {@link provision}. */
  resumeProvision(id: string, options: ProvisionOptions = {}): Promise<ProvisionReport> {
    return this.#run(options, (rest) => resumeTenant(this.#config, id, rest));
  }

  /** Starts nothing more, and waits until what is in work has ended. */
  async close(): Promise<void> {
    this.#closing.abort();
    await Promise.allSettled(this.#running);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #run<O extends { signal?: AbortSignal | undefined }, R>(
    options: O,
    verb: (options: O) => Promise<R>,
  ): Promise<R> {
    const closing = this.#closing.signal;
    if (closing.aborted) {
      throw new MpmError('FLEET_CLOSED', 'the fleet is closed', { hint: 'Open another one: openFleet(…)' });
    }
    const signal = options.signal ? AbortSignal.any([options.signal, closing]) : closing;
    const running = verb({ ...options, signal });
    this.#running.add(running);
    try {
      return await running;
    } finally {
      this.#running.delete(running);
    }
  }
}
