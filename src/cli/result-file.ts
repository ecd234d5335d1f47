import { closeSync, writeFileSync, createReadStream, mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { OnEvent } from '../fleet/events.ts';
import type { TenantResult } from '../fleet/report/report.ts';
import type { AllResults, ServerSum } from '../ui/report/json.ts';

/** Takes text that belongs together, such as a line, and passes it on whole. */
export interface LineSink {
  /** A promise: the reader is slower, wait for it. Nothing is thrown; `error` says what went wrong. */
  write(text: string): Promise<void> | undefined;
  /** Why nothing is written any more; a reader that went away is no error. */
  readonly error: Error | undefined;
  close(): void;
}

/** Into an open file: one write for each text, so that a process killed at any moment leaves whole lines. */
export function fileSink(fd: number): LineSink {
  let gone = false;
  const sink = {
    error: undefined as Error | undefined,
    write(text: string): undefined {
      if (gone || sink.error) return;
      try {
        writeFileSync(fd, text);
      } catch (error) {
        if (isClosedPipe(error)) gone = true;
        else sink.error = error as Error;
      }
    },
    close(): void {
      gone = true;
      closeSync(fd);
    },
  };
  return sink;
}

/** Onto stdout as it is at this moment: what is set aside later (`setStdoutAside`) does not change it. */
export function stdoutSink(stdout: NodeJS.WriteStream = process.stdout): LineSink {
  const write = stdout.write.bind(stdout) as (text: string) => boolean;
  let gone = false;
  let drained: Promise<void> | undefined;
  let wake: () => void = () => undefined;
  const onDrain = (): void => {
    drained = undefined;
    wake();
  };
  const sink = {
    error: undefined as Error | undefined,
    write(text: string): Promise<void> | undefined {
      if (gone || sink.error) return undefined;
      if (!write(text)) drained ??= new Promise((resolve) => (wake = resolve));
      return drained;
    },
    close(): void {
      gone = true;
      stdout.removeListener('drain', onDrain);
      onDrain();
    },
  };
  stdout.on('drain', onDrain);
  // Not removed at the end: what is still on its way may find the pipe closed after that.
  stdout.on('error', (error) => {
    if (!isClosedPipe(error)) sink.error = error;
    sink.close();
  });
  return sink;
}

function isClosedPipe(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'EPIPE';
}

interface ResultFile extends AllResults {
  onEvent: OnEvent;
  /** Why results are missing. */
  readonly error: Error | undefined;
  close(): void;
}

const FAILURES = new Set(['failed', 'refused', 'busy']);

/** Keeps every tenant's result in a file without a name, which is gone with the process: memory stays flat. */
export function openResultFile(): ResultFile {
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
      if (event.type === 'run-started') behindOnly = event.behind ?? false;
      if (event.type === 'tenant-finished') add(event.result);
    },
    get error() {
      return sink.error;
    },
    close: () => sink.close(),
  };
}
