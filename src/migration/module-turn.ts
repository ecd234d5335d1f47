/** The end of the module that runs now, or is the last one that waits. */
let last: Promise<unknown> = Promise.resolve();

/** Runs modules that keep something between calls one after the other: what they keep is the whole process's. */
export function inModuleTurn<T>(work: () => Promise<T>): Promise<T> {
  const turn = last.then(work);
  last = turn.catch(() => undefined);
  return turn;
}
