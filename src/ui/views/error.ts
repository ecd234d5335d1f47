import type { ErrorReport, SourceExcerpt } from '../../errors.ts';
import { harmless, oneLine, padStart, truncate, widthOf, wrapLines } from '../format.ts';
import type { Theme } from '../theme.ts';

export interface ErrorViewOptions {
  /** A path as it is shown: relative to where the user is. */
  shortPath?(path: string): string;
}

/** An error that ended the command: what, to whom, why, where, what became of it, what to type next. */
export function errorView(error: ErrorReport, theme: Theme, options: ErrorViewOptions = {}): string {
  const messages = messageLines(error);
  const [first = '', ...rest] = wrapLines(
    [subjectOf(error, options) + messages[0], ...messages.slice(1)],
    theme.width - 4,
  );
  const lines = [
    `${theme.bad(theme.symbols.cross)} ${theme.strong(first)}`,
    ...indent(rest),
    ...indent(errorDetails(error, theme, options)),
    ...indent(aftermathLines(error.aftermath)),
    ...indent(hintLines(error.hint, theme)),
  ];
  return `${lines.join('\n')}\n`;
}

/** To whom or what it happened, unless the message says so itself. */
function subjectOf({ subject, message }: ErrorReport, { shortPath }: ErrorViewOptions): string {
  const last = subject?.split(/[/\\]/).at(-1);
  if (!subject || !last || message.includes(last)) return '';
  return `${oneLine(shortPath && last !== subject ? shortPath(subject) : subject)}: `;
}

/** The message with its SQLSTATE, each line of it. */
export function messageLines(error: ErrorReport): string[] {
  const lines = harmless(error.message).trimEnd().split('\n');
  const code = error.database?.code;
  if (code && !error.message.includes(code)) lines[0] = `${lines[0]}  (${code})`;
  return lines;
}

/** PostgreSQL's detail and hint, and the lines of the file. */
export function errorDetails(error: ErrorReport, theme: Theme, options: ErrorViewOptions = {}): string[] {
  const { detail, hint } = error.database ?? {};
  return [
    ...(detail ? harmless(detail).split('\n') : []),
    // The engine makes it the error's own hint where it has no better one.
    ...(hint && hint !== error.hint ? [`PostgreSQL's hint: ${oneLine(hint)}`] : []),
    ...(error.excerpt ? excerptLines(error.excerpt, theme, options) : []),
  ];
}

/** `Still at 2026…_add_tariffs: the migration was rolled back.` */
export function aftermathLines(aftermath: string | undefined, at?: string | null): string[] {
  const said = aftermath && oneLine(aftermath).replace(/\.$/, '');
  const stand =
    at === undefined ? undefined : at === null ? 'Still without migrations' : `Still at ${oneLine(at)}`;
  // The engine says only what became of the migration: "rolled back", "stopped at statement 3 of 7".
  const became = said && (/^[a-z]+ed\b/.test(said) ? `the migration was ${said}` : said);
  if (!became) return stand ? [`${stand}.`] : [];
  return [stand ? `${stand}: ${became}.` : `${became[0]?.toUpperCase()}${became.slice(1)}.`];
}

// A hint that is a command and nothing else: words of the tool, then flags, placeholders, names.
const VERB = String.raw`mpm-migrate( [a-z]+){1,3}`;
const WORD = String.raw`( (--[\w|-]+([= ]('[^']*'|"[^"]*"|[^\s,;]+))?|<\w+>|[\d"'A-Z]\S*))*`;
const COMMAND = new RegExp(`^${VERB}${WORD}$`);
const LOOKING =
  /^mpm-migrate (verify|status|plan|doctor|run|lint|tenant (list|show)|central status)\b|--help$/;

/** `Look:` before a command that only looks, `Try:` before one that does; other advice as it is. */
export function hintLines(hint: string | undefined, theme: Theme): string[] {
  if (!hint) return [];
  const lines = harmless(hint).trim().split('\n');
  return lines.flatMap((line) => {
    const label = LOOKING.test(line) ? 'Look:' : 'Try: ';
    return isCommand(line) ? [`${label}  ${theme.command(line)}`] : wrapLines([line], theme.width - 4);
  });
}

function isCommand(line: string): boolean {
  const [, , third] = line.split(' ');
  // `mpm-migrate init writes one`: a second word in small letters is a subcommand only after a topic.
  const subcommand = third !== undefined && /^[a-z]+$/.test(third);
  return COMMAND.test(line) && (!subcommand || /^mpm-migrate (central|tenant|run|plugin) /.test(line));
}

export function excerptLines(
  excerpt: SourceExcerpt,
  theme: Theme,
  { shortPath }: ErrorViewOptions,
): string[] {
  const { marker, edge, caret, ellipsis } = theme.symbols;
  const digits = Math.max(...excerpt.lines.map(({ number }) => String(number).length));
  const room = Math.max(20, theme.width - digits - 9);
  const path = shortPath?.(excerpt.file) ?? excerpt.file;
  // A long line is shown from a little before the error on, so that the caret stays in sight.
  const failing = excerpt.lines.find((line) => line.failing)?.text ?? '';
  const skipped = excerpt.column > room - 8 ? Math.max(0, excerpt.column - Math.floor(room / 2)) : 0;
  const lines = excerpt.lines.flatMap(({ number, text, failing: here }) => {
    const gutter = `${padStart(String(number), digits)} ${theme.dim(edge)}`;
    const shown = truncate(visible([...text].slice(skipped).join('')), room, ellipsis);
    if (!here) return [`  ${gutter} ${shown}`.trimEnd()];
    const before = visible([...failing].slice(skipped, excerpt.column - 1).join(''));
    const under = `  ${' '.repeat(digits)} ${theme.dim(edge)} ${blank(before)}${theme.bad(caret)}`;
    return [`${theme.bad(marker)} ${gutter} ${shown}`, under];
  });
  return [theme.dim(`${path}:${excerpt.line}:${excerpt.column}`), ...lines];
}

function visible(text: string): string {
  return harmless(text).replaceAll('\n', ' ');
}

/** Spaces as wide as the text. */
function blank(text: string): string {
  return padStart('', widthOf(text));
}

function indent(lines: readonly string[]): string[] {
  return lines.map((line) => (line ? `    ${line}` : ''));
}
