import { widthOf } from '../format.ts';

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
    const start = this.#painted.length > 0 ? up(this.#rows()) : `${HIDE_CURSOR}${this.#midLine ? '\n' : ''}`;
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
    const rows = this.#rows();
    // Line by line: tmux keeps a copy in its history of what "erase below" takes from a whole screen.
    const erased = `${ERASE_LINE_END}\n`.repeat(rows) + ERASE_LINE_END;
    this.#terminal.write(`${up(rows)}${erased}${up(rows)}${SHOW_CURSOR}`);
    this.#painted = [];
  }

  /** Leaves the block where it is. */
  leave(): void {
    if (this.#painted.length > 0) this.#terminal.write(SHOW_CURSOR);
    this.#painted = [];
  }

  /** Rows that the block takes. A terminal that was made narrower has broken its lines: they are counted anew. */
  #rows(): number {
    const { columns = 80, rows = 24 } = this.#terminal;
    const broken = this.#painted.map((line) => Math.max(1, Math.ceil(widthOf(line) / columns)));
    return Math.min(
      broken.reduce((sum, taken) => sum + taken, 0),
      Math.max(1, rows - 1),
    );
  }
}

/** To the first column, so many rows up. */
function up(rows: number): string {
  return `\r\u001b[${rows}A`;
}
