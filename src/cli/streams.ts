/** Arguments by which stdout is for a program: no line of ours belongs into it. */
const FOR_PROGRAMS = /^(?:--json|--events|--report|--format|exec$)/;

let lost = false;

/**
 * A stream that is full ends nothing that was begun: one line on the other stream says so, and the exit code is 1 at
 * least (fleet 48). A reader that went away is no error. To be called again when oclif has been loaded, whose own
 * listener ends the process in the middle of a run.
 * @param argv what was typed
 */
export function watchStreams(argv: readonly string[]): void {
  const { stdout, stderr } = process;
  // As they are now: stdout is set aside while a run is at work.
  const [toStdout, toStderr] = [stdout.write.bind(stdout), stderr.write.bind(stderr)];
  const streams = [
    { stream: stdout, name: 'Standard output', say: toStderr },
    {
      stream: stderr,
      name: 'Standard error',
      say: argv.some((arg) => FOR_PROGRAMS.test(arg)) ? undefined : toStdout,
    },
  ];
  for (const { stream, name, say } of streams) {
    stream.removeAllListeners('error');
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE' || lost) return;
      lost = true;
      process.once('exit', () => {
        process.exitCode ||= 1;
      });
      say?.(`✖ ${name} cannot be written: ${error.message}\n`);
    });
  }
}

/**
 * Sends what others write on stdout to stderr, until the returned function is called: a migration's
 * `console.log` must neither stand in the report nor break the JSON document.
 */
export function setStdoutAside(): () => void {
  const { stdout, stderr } = process;
  const write = stdout.write;
  const own = Object.hasOwn(stdout, 'write');
  // Looked up at each write: the progress watches stderr, and puts such text above its frame.
  stdout.write = ((...all: Parameters<typeof write>) => stderr.write(...all)) as typeof write;
  return () => {
    if (own) stdout.write = write;
    else Reflect.deleteProperty(stdout, 'write');
  };
}
