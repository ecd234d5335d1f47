import { Chalk } from 'chalk';

/** Variables of the environment that say how to show things. Read in config/load, passed in. */
export type DisplayEnvironment = Readonly<Record<string, string | undefined>>;

/** What of a stream decides how to write on it. */
export interface Screen {
  isTTY?: boolean;
  columns?: number;
}

export interface Symbols {
  tick: string;
  cross: string;
  warning: string;
  skipped: string;
  lane: string;
  marker: string;
  caret: string;
  edge: string;
  ellipsis: string;
  arrow: string;
  barDone: string;
  barLeft: string;
  spinner: readonly string[];
}

type Paint = (text: string) => string;

export interface Theme {
  bad: Paint;
  good: Paint;
  warn: Paint;
  dim: Paint;
  strong: Paint;
  /** Commands to type. */
  command: Paint;
  symbols: Symbols;
  /** Columns to write in. */
  width: number;
}

const UNICODE: Symbols = {
  tick: '✔',
  cross: '✖',
  warning: '▲',
  skipped: '–',
  lane: '›',
  marker: '▸',
  caret: '^',
  edge: '│',
  ellipsis: '…',
  arrow: '→',
  barDone: '━',
  barLeft: '╌',
  spinner: ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'],
};

const ASCII: Symbols = {
  tick: '+',
  cross: 'x',
  warning: '!',
  skipped: '-',
  lane: '>',
  marker: '>',
  caret: '^',
  edge: '|',
  ellipsis: '...',
  arrow: '->',
  barDone: '#',
  barLeft: '.',
  spinner: ['|', '/', '-', '\\'],
};

/** A file or a pipe has no width: nothing is cut or broken there, so that it can be searched. */
const UNLIMITED = Number.POSITIVE_INFINITY;

export interface ThemeOptions {
  /** False with `--no-color`. */
  color?: boolean;
}

/** How to write on one stream: stdout and stderr may differ, one of them being a file. */
export function themeFor(stream: Screen, env: DisplayEnvironment, options: ThemeOptions = {}): Theme {
  const paint = new Chalk({ level: options.color !== false && wantsColor(stream, env) ? 1 : 0 });
  return {
    bad: paint.red,
    good: paint.green,
    warn: paint.yellow,
    dim: paint.dim,
    strong: paint.bold,
    command: paint.cyan,
    symbols: speaksUnicode(env) ? UNICODE : ASCII,
    width: stream.isTTY && stream.columns ? stream.columns : UNLIMITED,
  };
}

// Decided here and not by chalk, which does not know NO_COLOR and looks at the process's own arguments.
function wantsColor(stream: Screen, env: DisplayEnvironment): boolean {
  if (env['NO_COLOR']) return false;
  const forced = env['FORCE_COLOR'];
  if (forced !== undefined) return forced !== '0' && forced !== 'false';
  return stream.isTTY === true && env['TERM'] !== 'dumb';
}

/** A locale that is not set says nothing (containers have none); one that is set must be a UTF-8 one. */
function speaksUnicode(env: DisplayEnvironment): boolean {
  const locale = env['LC_ALL'] || env['LC_CTYPE'] || env['LANG'];
  return !locale || /utf-?8/i.test(locale);
}

/** Can a frame be repainted on this stream? */
export function canRepaint(stream: Screen, env: DisplayEnvironment): boolean {
  return stream.isTTY === true && env['TERM'] !== 'dumb' && (stream.columns ?? 80) >= 30;
}
