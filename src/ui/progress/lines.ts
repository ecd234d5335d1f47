import type { RunEvent } from '../../fleet/events.ts';
import { clock, count, oneLine, plural } from '../format.ts';
import {
  aboutLeft,
  Eta,
  doing,
  type FailureLine,
  ProgressState,
  type Progress,
  type ProgressOptions,
  timeLeft,
} from './state.ts';

/** So many tenants that fail the same way are named as they fail; the others are counted. */
const MOST_NAMED = 5;
const HEARTBEAT_MS = 10_000;

/** Progress for a log: plain lines, failures as they happen, and a sign of life every 10 % or 10 s. */
export function startLines({ write, theme, failureKey, clock: now }: ProgressOptions): Progress {
  const state = new ProgressState(failureKey);
  const eta = new Eta();
  const started = now();
  let spoke = started;
  let tenth = 0;

  const say = (line: string) => {
    spoke = now();
    write(`${line}\n`);
  };
  const beat = () => {
    const at = now() - started;
    const { done, total, failed } = state;
    const left = timeLeft(state, eta, at);
    const share = total
      ? `${count(done)}/${count(total)} (${Math.floor((done / total) * 100)}%)`
      : `${count(done)} done`;
    const parts = [
      share,
      failed ? `${count(failed)} failed` : '',
      clock(at) + (left ? `, ${aboutLeft(left)}` : ''),
    ];
    say(parts.filter(Boolean).join('   '));
  };
  // Unhurried, and unref'd: a heartbeat must not keep a finished process alive.
  const timer = setInterval(() => {
    if (!state.finished && state.verb && now() - spoke >= HEARTBEAT_MS) beat();
  }, 1_000);
  timer.unref();

  const onEvent = (event: RunEvent) => {
    const failure = state.take(event);
    if (event.type === 'run-started' && state.total !== 0 && !state.stopping) say(startLine(state));
    if (event.type === 'wave-started') say(waveLine(event));
    if (event.type === 'notice') say(`${theme.symbols.warning} ${oneLine(event.message)}`);
    if (failure) sayFailure(failure, theme.symbols.cross, say);
    // Of fewer than ten, every one would be a step of 10 %.
    if (event.type !== 'tenant-finished' || !state.total || state.total < 10) return;
    eta.note(now() - started, state.done);
    const reached = Math.floor((state.done / state.total) * 10);
    if (reached <= tenth) return;
    tenth = reached;
    // At the end the report says it.
    if (state.done < state.total) beat();
  };
  return {
    onEvent,
    note: say,
    stopping: () => {
      state.stopping = true;
    },
    aside: (act) => act(),
    stop: () => {
      clearInterval(timer);
      return Promise.resolve();
    },
  };
}

function startLine(state: ProgressState): string {
  const whom = state.total === null ? 'tenants' : plural(state.total, 'tenant');
  const details = [state.selection, state.run === null ? '' : `run ${state.run}`].filter(Boolean).join(', ');
  return `${doing(state)} ${whom}${details ? ` (${details})` : ''}`;
}

function sayFailure(failure: FailureLine, cross: string, say: (line: string) => void): void {
  const { name, message, migration, count: nth } = failure;
  if (nth <= MOST_NAMED) say(`${cross} ${name}  ${migration ? `${migration}: ` : ''}${message}`);
  else if (nth === MOST_NAMED + 1) say(`${cross} more fail the same way: counted from now on, not listed`);
}

/** What a wave begins with. */
export function waveLine({ name, total }: { name: string; total: number }): string {
  return `Wave ${oneLine(name)}: ${plural(total, 'tenant')}`;
}
