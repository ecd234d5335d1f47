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
