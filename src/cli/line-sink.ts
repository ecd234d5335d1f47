import { closeSync, writeFileSync } from 'node:fs';

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
