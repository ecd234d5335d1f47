import { widthOf } from './format.ts';

/** What is needed of a terminal's stream. */
export interface Terminal {
  columns?: number | undefined;
  rows?: number | undefined;
  write(text: string): unknown;
}

const HIDE_CURSOR = '\u001b[?25l';
const SHOW_CURSOR = '\u001b[?25h';
const ERASE_LINE_END = '\u001b[K';
const ERASE_BELOW = '\u001b[J';

/** Repaints a block of lines in place at the end of a terminal, and prints lines that stay above it. */
export class Canvas {
  readonly #terminal: Terminal;
  #painted: readonly string[] = [];
  /** Somebody else's text ended without a line end: the block must not begin behind it. */
  #midLine = false;

  constructor(terminal: Terminal) {
    this.#terminal = terminal;
  }

  /** Paints over the block. One write, nothing erased before it is written over: it does not flicker. */
  paint(lines: readonly string[]): void {
    const start = this.#painted.length > 0 ? this.#home() : `${HIDE_CURSOR}${this.#midLine ? '\n' : ''}`;
    const body = lines.map((line) => `${line}${ERASE_LINE_END}\n`).join('');
    this.#terminal.write(`${start}${body}${ERASE_BELOW}`);
    this.#painted = [...lines];
    this.#midLine = false;
  }

  /** Prints a line that stays above the block. */
  above(line: string): void {
    const block = this.#painted;
    this.clear();
    this.#terminal.write(`${line}\n`);
    if (block.length > 0) this.paint(block);
  }

  /** Takes the block away for the text that somebody else is about to write. */
  giveWay(text: string): void {
    this.clear();
    this.#midLine = !text.endsWith('\n');
  }

  /** Takes the block away; what is written next stands in its place. */
  clear(): void {
    if (this.#painted.length === 0) return;
    this.#terminal.write(`${this.#home()}${ERASE_BELOW}${SHOW_CURSOR}`);
    this.#painted = [];
  }

  /** Leaves the block where it is. */
  leave(): void {
    if (this.#painted.length > 0) this.#terminal.write(SHOW_CURSOR);
    this.#painted = [];
  }

  /** To the block's first line. A terminal that was made narrower has broken the block's lines: count them anew. */
  #home(): string {
    const columns = this.#terminal.columns ?? 80;
    const rows = this.#painted.reduce(
      (sum, line) => sum + Math.max(1, Math.ceil(widthOf(line) / columns)),
      0,
    );
    return `\r\u001b[${Math.min(rows, Math.max(1, (this.#terminal.rows ?? 24) - 1))}A`;
  }
}
