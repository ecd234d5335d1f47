import { Listr, type ListrRenderer } from 'listr2';
import type { Canvas } from './canvas.ts';

/** Repaints so often; more is not seen. */
const FRAME_MS = 100;

interface PainterOptions {
  canvas: Canvas;
  nextFrame(): string[];
  /** The terminal is somebody else's for now. */
  away(): boolean;
  /** Leave the last frame where it is. */
  keep(): boolean;
}

/**
 * Listr2's part: one task for the whole run, and a renderer that paints the lanes. One task per tenant would
 * cost minutes and a gigabyte for a thousand of them.
 */
class Painter implements ListrRenderer {
  // stderr is the terminal here; Listr2 looks at stdout, and would fall back.
  static readonly nonTTY = true;
  static readonly rendererOptions: PainterOptions;
  static readonly rendererTaskOptions: never;
  readonly #options: PainterOptions;
  #timer: NodeJS.Timeout | undefined;

  constructor(_tasks: unknown, options: PainterOptions) {
    this.#options = options;
  }

  render(): void {
    this.#paint();
    this.#timer = setInterval(() => this.#paint(), FRAME_MS);
    this.#timer.unref();
  }

  end(): void {
    clearInterval(this.#timer);
    const { canvas, keep } = this.#options;
    if (!keep()) return canvas.clear();
    this.#paint();
    canvas.leave();
  }

  #paint(): void {
    if (this.#options.away()) return;
    this.#options.canvas.paint(this.#options.nextFrame());
  }
}

/** Paints until the returned function is called. */
export function startPainting(options: PainterOptions): () => Promise<void> {
  const { promise, resolve } = withResolvers();
  const list = new Listr([{ task: () => promise }], {
    renderer: Painter,
    rendererOptions: options,
    // Listr2's own listener ends the process with 127 on Ctrl-C.
    registerSignalListeners: false,
  });
  const ended = list.run();
  return async () => {
    resolve();
    await ended;
  };
}

function withResolvers(): { promise: Promise<void>; resolve: () => void } {
  let resolve = () => {};
  const promise = new Promise<void>((done) => {
    resolve = done;
  });
  return { promise, resolve };
}
