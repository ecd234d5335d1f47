import { Canvas } from './canvas.ts';
import { oneLine } from '../format.ts';
import { frame } from './frame.ts';
import { waveLine } from './lines.ts';
import { Eta, ProgressState, timeLeft, type Progress, type ProgressOptions } from './state.ts';

/** A run that ends sooner paints nothing, and does not load what paints. */
const QUIET_MS = 150;

/** Progress on a terminal: fixed lanes, repainted in place. */
export function startFrames(options: ProgressOptions): Progress {
  const { stream, theme, clock: now, failureKey } = options;
  const state = new ProgressState(failureKey);
  const eta = new Eta();
  const started = now();
  const canvas = new Canvas({
    get columns() {
      return stream.columns;
    },
    get rows() {
      return stream.rows;
    },
    write: options.write,
  });
  let tick = 0;
  let away = false;

  const nextFrame = () => {
    const at = now() - started;
    eta.note(at, state.done);
    const left = timeLeft(state, eta, at);
    const { columns = 80, rows = 24 } = stream;
    return frame(state, theme, { columns, rows, now: at, left, tick: tick++ });
  };

  const release = shareTerminal(canvas, stream);
  const restore = () => canvas.leave();
  process.once('exit', restore);
  let stopPainting: Promise<() => Promise<void>> | undefined;
  const delay = setTimeout(() => {
    stopPainting = import('./tty.ts').then(({ startPainting }) =>
      startPainting({ canvas, nextFrame, away: () => away, keep: () => options.keep }),
    );
  }, QUIET_MS);
  delay.unref();

  const note = (text: string) => canvas.above(text);
  return {
    onEvent: (event) => {
      state.take(event);
      if (event.type === 'wave-started') note(theme.strong(waveLine(event)));
      if (event.type === 'notice') note(`${theme.warn(theme.symbols.warning)} ${oneLine(event.message)}`);
    },
    note,
    stopping: () => {
      state.stopping = true;
    },
    aside: async (act) => {
      away = true;
      canvas.clear();
      try {
        return await act();
      } finally {
        away = false;
      }
    },
    stop: async () => {
      clearTimeout(delay);
      const end = await stopPainting;
      await end?.();
      release();
      process.removeListener('exit', restore);
    },
  };
}

/**
 * Lets others write on the terminal that the canvas is on: a migration's `console.log`, a warning of Node. What
 * they write is put above the frame, which is painted again with its next turn. Returns what ends it.
 */
function shareTerminal(canvas: Canvas, stream: NodeJS.WriteStream): () => void {
  const write = stream.write;
  const own = Object.hasOwn(stream, 'write');
  stream.write = ((...all: Parameters<typeof write>) => {
    const [text] = all as unknown[];
    canvas.giveWay(typeof text === 'string' ? text : '\n');
    return write.apply(stream, all);
  }) as typeof write;
  return () => {
    if (own) stream.write = write;
    else Reflect.deleteProperty(stream, 'write');
  };
}
