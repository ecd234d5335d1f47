import type { Canvas } from './canvas.ts';

/**
 * Lets others write on the terminal that the canvas is on: a migration's `console.log`, a warning of Node. What
 * they write is put above the frame, which is painted again with its next turn. Returns what ends it.
 */
export function shareTerminal(canvas: Canvas, stream: NodeJS.WriteStream): () => void {
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
