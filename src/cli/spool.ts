import { createReadStream, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { OnEvent } from '../fleet/events.ts';
import type { TenantResult } from '../fleet/report.ts';
import type { AllResults, ServerSum } from '../ui/report/all-results.ts';
import { fileSink } from './line-sink.ts';

export interface Spool extends AllResults {
  onEvent: OnEvent;
  /** Why results are missing. */
  readonly error: Error | undefined;
  close(): void;
}

const FAILURES = new Set(['failed', 'refused', 'busy']);

/** Keeps every tenant's result in a file without a name, which is gone with the process: memory stays flat. */
export function openSpool(): Spool {
  const folder = mkdtempSync(join(tmpdir(), 'mpm-migrate-'));
  const fd = openSync(join(folder, 'results'), 'wx+', 0o600);
  rmSync(folder, { recursive: true, force: true });
  const sink = fileSink(fd);
  const servers = new Map<string, ServerSum>();
  let behindOnly = false;

  const add = (result: TenantResult): void => {
    // Looked at for --behind and found to have nothing to do: not one of the selected.
    if (behindOnly && result.outcome === 'current') return;
    const sum = servers.get(result.tenant.server) ?? { tenants: 0, failed: 0, skipped: 0, durationMs: 0 };
    sum.tenants += 1;
    if (FAILURES.has(result.outcome)) sum.failed += 1;
    if (result.outcome === 'skipped') sum.skipped += 1;
    sum.durationMs += result.durationMs;
    servers.set(result.tenant.server, sum);
    void sink.write(`${JSON.stringify(result)}\n`);
  };
  async function* read(server?: string): AsyncGenerator<TenantResult> {
    const input = createReadStream('', { fd, start: 0, autoClose: false });
    for await (const line of createInterface({ input, crlfDelay: Infinity })) {
      const result = JSON.parse(line) as TenantResult;
      if (server === undefined || result.tenant.server === server) yield result;
    }
  }
  return {
    servers,
    read,
    onEvent: (event) => {
      if (event.type === 'run-started') behindOnly = / --behind( |$)/.test(` ${event.selection}`);
      if (event.type === 'tenant-finished') add(event.result);
    },
    get error() {
      return sink.error;
    },
    close: () => sink.close(),
  };
}
