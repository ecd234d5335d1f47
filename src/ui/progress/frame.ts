import { clock, count, duration, padEnd, padStart, plural, truncate, widthOf } from '../format.ts';
import { aboutLeft, doing, type FailureLine, type Lane, type ProgressState } from './state.ts';
import type { Theme } from '../theme.ts';

export interface FrameView {
  columns: number;
  rows: number;
  /** Ms since the run's start. */
  now: number;
  /** Ms left, if it can be said. */
  left: number | undefined;
  /** Counts up with each frame: turns the spinner. */
  tick: number;
}

const MOST_LANES = 16;
const MOST_FAILURES = 5;
const WIDEST_BAR = 24;

/**
 * What is painted while a run goes on, as lines that fit: the header, the lanes with the slowest first, the
 * failures. Never wider than the terminal, and never so high that the header would scroll away.
 */
export function frame(state: ProgressState, theme: Theme, view: FrameView): string[] {
  // A full last column makes some terminals wrap, and the line below the frame belongs to the cursor.
  const columns = Math.max(20, view.columns - 1);
  const room = Math.max(0, view.rows - 2);
  const failures = failureLines(
    [...state.failures.values()],
    theme,
    columns,
    Math.min(MOST_FAILURES, Math.floor(room / 3)),
  );
  const lanes = laneLines(state, theme, { columns, now: view.now, room: room - failures.length });
  return [headerLine(state, theme, { ...view, columns }), ...lanes, ...failures];
}

function headerLine(state: ProgressState, theme: Theme, view: FrameView): string {
  const { symbols } = theme;
  const { done, total, failed } = state;
  const numbers = total === null ? `${count(done)} done` : `${count(done)}/${count(total)}`;
  const spin = symbols.spinner[view.tick % symbols.spinner.length] ?? '';
  const end = failed ? theme.bad(symbols.cross) : theme.good(symbols.tick);
  const title = `${state.finished ? end : spin} ${doing(state)}`;
  const retry = state.waitingForRetry ? `${count(state.waitingForRetry)} to retry` : '';
  const time = clock(view.now);
  const left = view.left === undefined ? '' : aboutLeft(view.left);
  const failing = failed ? `${count(failed)} failed` : '';
  // What is left out first on a narrow terminal comes last here.
  const [parts] = [
    [numbers, failing, retry, join(', ', time, left)],
    [numbers, failing, join(', ', time, left)],
    [numbers, failing, time],
    [numbers, failing],
    [numbers],
  ]
    .map((all) => all.filter(Boolean))
    .filter((all) => widthOf([title, ...all].join('   ')) <= view.columns || all.length === 1);
  const said = (parts ?? [numbers]).map((part) => (part === failing ? theme.bad(part) : part)).join('   ');
  const space = view.columns - widthOf(`${title}    ${said}`);
  const bar =
    total !== null && space >= 8
      ? `${progressBar(done, total, Math.min(WIDEST_BAR, space - 2), theme)}  `
      : '';
  return bar ? `${title}  ${bar}${said}` : `${title}   ${said}`;
}

function progressBar(done: number, total: number, width: number, { symbols, good, dim }: Theme): string {
  // Never full before the end, and never empty after the first.
  const share = total === 0 ? width : Math.floor((done / total) * width);
  const filled = Math.min(done < total ? width - 1 : width, Math.max(done > 0 ? 1 : 0, share));
  return good(symbols.barDone.repeat(filled)) + dim(symbols.barLeft.repeat(width - filled));
}

function laneLines(
  state: ProgressState,
  theme: Theme,
  view: { columns: number; now: number; room: number },
): string[] {
  const lanes = [...state.lanes.values()].toSorted((a, b) => a.since - b.since);
  const most = Math.min(MOST_LANES, view.room);
  const fits = lanes.length <= most;
  const shown = lanes.slice(0, fits ? most : Math.max(0, most - 1));
  const nameWidth = Math.min(state.widestName, Math.max(8, Math.floor(view.columns * 0.3)));
  const indexWidth = Math.max(
    0,
    ...shown.map(({ step }) => (step ? `${step.index}/${step.count}`.length : 0)),
  );
  const lines = shown.map((lane) => laneLine(lane, theme, { ...view, nameWidth, indexWidth }));
  const more = lanes.length - shown.length;
  return more > 0 && most > 0
    ? [...lines, theme.dim(`    ${theme.symbols.ellipsis} ${count(more)} more`)]
    : lines;
}

function laneLine(
  lane: Lane,
  theme: Theme,
  view: { columns: number; now: number; nameWidth: number; indexWidth: number },
): string {
  const { symbols } = theme;
  const name = padEnd(truncate(lane.name, view.nameWidth, symbols.ellipsis), view.nameWidth);
  const index = padStart(lane.step ? `${lane.step.index}/${lane.step.count}` : '', view.indexWidth);
  const time = padStart(duration(Math.max(0, view.now - lane.since)), 6);
  const head = `  ${symbols.lane} ${name}  ${index}${view.indexWidth ? '  ' : ''}`;
  const room = view.columns - widthOf(head) - widthOf(time) - 2;
  const what = lane.waiting ? `waiting: ${lane.waiting}` : (lane.step?.name ?? 'connecting');
  const text = padEnd(truncate(what, room, symbols.ellipsis), room);
  const paint = lane.waiting ? theme.warn : lane.step ? (plain: string) => plain : theme.dim;
  return room < 4 ? `${head.trimEnd()}  ${time}` : `${head}${paint(text)}  ${theme.dim(time)}`;
}

function failureLines(
  failures: readonly FailureLine[],
  theme: Theme,
  columns: number,
  most: number,
): string[] {
  if (most < 1) return [];
  // The latest ways to fail are the news; all of them are in the report.
  const shown = failures.slice(failures.length <= most ? 0 : -Math.max(1, most - 1));
  const nameOf = ({ name, count: all }: FailureLine) =>
    all > 1 ? `${name} and ${count(all - 1)} more` : name;
  const widest = Math.min(
    Math.floor(columns * 0.4),
    Math.max(0, ...shown.map((line) => widthOf(nameOf(line)))),
  );
  const lines = shown.map((line) => {
    const name = padEnd(truncate(nameOf(line), widest, theme.symbols.ellipsis), widest);
    const message = truncate(line.message, columns - widest - 6, theme.symbols.ellipsis);
    return `  ${theme.bad(theme.symbols.cross)} ${name}  ${message}`;
  });
  const more = failures.length - shown.length;
  const earlier = `    ${theme.symbols.ellipsis} ${plural(more, 'earlier way')} to fail`;
  return more > 0 && most > 1 ? [theme.dim(earlier), ...lines] : lines;
}

function join(separator: string, ...parts: string[]): string {
  return parts.filter(Boolean).join(separator);
}
