import type { MigrationState, StateEntry } from './state.ts';

/** So many names stand in a command; of more, `--all-names` says the same. */
const MOST_NAMES = 3;

const HALF_DONE = `mpm-migrate up --tenant {tenant} --force
this one alone: mpm-migrate resolve {name} --tenant {tenant} --retry
if you finished it by hand: mpm-migrate resolve {name} --tenant {tenant} --applied
if you took back what it did: mpm-migrate resolve {name} --tenant {tenant} --rolled-back`;

/** What each state means for `up`, and the exact command to type, with {names}, {name} and {tenant} to be filled in. */
const STATES: Record<MigrationState, { what: string; remedy?: string }> = {
  applied: { what: 'is applied' },
  baseline: { what: 'was there before: recorded, not run' },
  pending: { what: 'is pending', remedy: 'mpm-migrate up --tenant {tenant}' },
  future: {
    what: 'is applied, newer than all files here, and has no file',
    remedy: 'nothing to mend where a newer release has its file: run that one; else restore the file',
  },
  kept: {
    what: 'was left by a plugin that was uninstalled',
    remedy: 'nothing to mend; to take it back: mpm-migrate plugin uninstall PLUGIN --down --tenant {tenant}',
  },
  failed: {
    what: 'failed before and was left half-done',
    remedy: `mend the cause, then resume: ${HALF_DONE}`,
  },
  interrupted: {
    what: 'was interrupted',
    remedy: `resume: ${HALF_DONE}`,
  },
  running: {
    what: 'is being run at this moment',
    remedy: 'wait until it is done: mpm-migrate status --tenant {tenant}',
  },
  'out-of-order': {
    what: 'is older than what is already applied',
    remedy: 'give it a newer version, or apply it late: mpm-migrate up --tenant {tenant} --out-of-order',
  },
  changed: {
    what: 'was changed after it was applied',
    remedy:
      'restore the file, or accept it: mpm-migrate repair {names} --tenant {tenant} --checksums --write',
  },
  missing: {
    what: 'is applied, but its file is gone',
    remedy: 'restore the file, or forget it: mpm-migrate repair {names} --tenant {tenant} --missing --write',
  },
};

/** Why these migrations, all in one state, are not just run: in words, and how far a half-done one has come. */
export function describeState(state: MigrationState, entries: readonly StateEntry[]): string {
  const names = entries.map(({ name }) => name);
  const [only] = entries;
  const stop = entries.length === 1 && state !== 'running' ? stopOf(only?.row) : undefined;
  return `${listNames(names)} ${STATES[state].what}${stop ? `: it ${stop}` : ''}`;
}

/** What to type about migrations in that state; {tenant} is left to be filled in. Undefined: nothing is to be done. */
export function remedyFor(state: MigrationState, names: readonly string[]): string | undefined {
  const all = names.length > MOST_NAMES ? '--all-names' : names.join(' ');
  return STATES[state].remedy?.replaceAll('{names}', all).replaceAll('{name}', names[0] ?? '');
}

/** `stopped at statement 3 of 7`; undefined for a row that is settled, or of which it is not known. */
export function stopOf(
  row: { state: string; statementsDone: number; statements: number | null } | undefined,
): string | undefined {
  if (!row || (row.state !== 'failed' && row.state !== 'running') || !row.statements) return undefined;
  const at = Math.min(row.statementsDone + 1, row.statements);
  return `stopped at statement ${at} of ${row.statements}`;
}

export function listNames(names: readonly string[]): string {
  const [first = '', second] = names;
  if (names.length === 1) return first;
  return names.length === 2 ? `${first} and ${second}` : `${first} and ${names.length - 1} more`;
}
