import { createHash } from 'node:crypto';
import type { Migration } from './migration.ts';
import { isUnwritten } from './source/words.ts';
import { fileLabel } from './source/files.ts';
import type { MigrationState, StateEntry } from './history/state.ts';

/** So many names stand in a command; of more, `--all-names` says the same. */
const MOST_NAMES = 3;

const HALF_DONE = `mpm-migrate up --tenant {tenant} --force
this one alone: mpm-migrate resolve {name} --tenant {tenant} --retry
if you finished it by hand: mpm-migrate resolve {name} --tenant {tenant} --applied
if you reverted what it did: mpm-migrate resolve {name} --tenant {tenant} --rolled-back`;

/** What each state means for `up`, and the exact command to type, with {names}, {name} and {tenant} to be filled in. */
const STATES: Record<MigrationState, { what: string; remedy?: string }> = {
  applied: { what: 'is applied' },
  baseline: { what: 'existed before: recorded, not run' },
  pending: { what: 'is pending', remedy: 'mpm-migrate up --tenant {tenant}' },
  deferred: {
    what: 'is deferred (phase:contract)',
    remedy: 'once every tenant has what comes before it: mpm-migrate up --all --phase contract',
  },
  future: {
    what: 'is applied, newer than all files here, and has no file',
    remedy: 'if a newer release has its file, run that release; otherwise restore the file',
  },
  kept: {
    what: 'was left by a plugin that was uninstalled',
    remedy: 'nothing to do; to revert it: mpm-migrate plugin uninstall PLUGIN --down --tenant {tenant}',
  },
  failed: {
    what: 'failed before and was left half-done',
    remedy: `fix the cause, and then resume: ${HALF_DONE}`,
  },
  interrupted: {
    what: 'was interrupted',
    remedy: `resume: ${HALF_DONE}`,
  },
  running: {
    what: 'is running now',
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
    remedy:
      'restore the file, or remove its row: mpm-migrate repair {names} --tenant {tenant} --missing --write',
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

/** Of templates/create, as {@link hashOf} has them: a test holds them together. */
const TEMPLATES: ReadonlySet<string> = new Set([
  'f69a94f3c5fb2611cff763b0bdc541156b82fe2a8c3a36cf3ddd09b891ddac46',
  '3a17707595a8a0f9077caa0fb6d06ccf32a408f84cb1278c038e08465ecfc951',
]);

/** No template is longer, in bytes. */
const LONGEST = 1000;

/** Whether a file is what `create` wrote, but for its spaces and line ends. */
export function isUntouched(content: Uint8Array): boolean {
  if (content.length > LONGEST) return false;
  const text = Buffer.from(content).toString('utf8');
  return TEMPLATES.has(hashOf(text)) || isUnwritten(text);
}

/** SHA-256 in hex of a text without a BOM, its spaces and line ends as one space each. */
function hashOf(text: string): string {
  return createHash('sha256')
    .update(
      text
        .replace(/^\uFEFF/, '')
        .replace(/\s+/g, ' ')
        .trim(),
    )
    .digest('hex');
}

/** What can't be run as it is, whatever it is that is gone past. */
export function refuseUnrunnable(pending: readonly Migration[]): Refusal[] {
  return [...refuseUntouched(pending), ...refuseForeign(pending)];
}

/** What is another tool's: nothing of it can be run. */
export function refuseForeign(pending: readonly Migration[]): Refusal[] {
  const foreign = pending.flatMap(({ name, up }) => (up.kind === 'foreign' ? [{ name, up }] : []));
  const [first] = foreign;
  if (!first) return [];
  const names = foreign.map(({ name }) => name);
  const files = foreign.map(({ up }) => `${fileLabel(up.path)} (${up.tool})`);
  return [
    {
      state: 'pending',
      names,
      message: `${listNames(files)}: ${names.length === 1 ? 'a migration' : 'migrations'} of another tool, which can't be run here`,
      remedy: `write the same change as SQL beside it, ${sqlBeside(first.up.path)}: it runs in its place
if the change is there already: mpm-migrate baseline --tenant {tenant} --to ${names.at(-1)} --write
for new tenants, from the schema of one that has them all: mpm-migrate baseline --snapshot TENANT --write`,
    },
  ];
}

/** The SQL file that has a foreign migration's name. */
function sqlBeside(path: string): string {
  return fileLabel(path.replace(/\.\w+$/, '.sql'));
}

/** To apply a template that nobody has filled in would record that all is done (engine 55). */
function refuseUntouched(pending: readonly Migration[]): Refusal[] {
  const names = pending.filter(({ untouched }) => untouched).map(({ name }) => name);
  if (!names.length) return [];
  const what = names.length === 1 ? 'an unedited template' : 'unedited templates';
  return [
    {
      state: 'pending',
      names,
      message: `${listNames(names)}: ${what} of \`mpm-migrate create\``,
      remedy: 'Write the migration, or delete the file. If it should do nothing, say so in a comment.',
    },
  ];
}

/** Why a database is not migrated, one reason for all migrations in the same state. */
export interface Refusal {
  state: MigrationState;
  names: string[];
  message: string;
  remedy: string;
}
