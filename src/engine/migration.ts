import type { Kysely } from 'kysely';

/** Options of one migration, from behind its `-- migrate:up` marker or its `config` export. Times in ms; 0 means none. */
export interface MigrationOptions {
  /** False: run statement by statement outside a transaction (`transaction:false`). */
  transaction: boolean;
  lockTimeout?: number;
  statementTimeout?: number;
  /** It takes away what a running release may still use: deferred until it is asked for (confidence 9). Not in the checksum. */
  phase?: 'contract';
}

/** SQL of one direction, ready to be sent. */
export interface SqlScript {
  kind: 'sql';
  /** The file it is in. */
  path: string;
  /** The whole file as read: BOM stripped, line ends as they are. Error positions are shown in it. */
  text: string;
  /**
   * The section to run. Same length as `text.slice(start, start + sql.length)`: what must not be sent (a
   * BEGIN … COMMIT around the whole file, pg_dump's `\restrict`) is blanked, so that offsets stay true.
   */
  sql: string;
  /** Where `sql` begins in `text`, in UTF-16 units. */
  start: number;
  /** Where its own text lies in `text`, when the other section's is in between: the rest of `sql` is blank. */
  parts?: readonly (readonly [start: number, end: number])[];
  options: MigrationOptions;
  /** What its own marker says, where something else decides as well: the checksum goes by that. */
  written?: MigrationOptions;
  /** The isolation level of its transaction, as BEGIN has it; absent: read committed. */
  mode?: string;
  /** Outside a transaction: what is between its own BEGIN and COMMIT, each time, in UTF-16 units of `text`. */
  blocks?: readonly (readonly [start: number, end: number])[];
  /** The statement for which it runs outside a transaction, though nothing in the file says so (engine 41). */
  outsideFor?: string;
}

/** A module's function of one direction. */
export interface ModuleScript {
  kind: 'module';
  path: string;
  run(db: Kysely<unknown>): unknown;
  /** What is worth a notice wherever it is run: what its import did to the process. */
  notices: readonly string[];
  /** It runs at one database at a time. */
  serial: boolean;
  options: MigrationOptions;
}

/** Another tool's migration, in another language or for its library: recorded by its name, and never run. */
export interface ForeignScript {
  kind: 'foreign';
  path: string;
  /** Whose it is, in words. */
  tool: string;
  options: MigrationOptions;
}

/** What can be run. */
export type Script = SqlScript | ModuleScript;

/** Which folder a migration belongs to; recorded in the history (engine 20). */
export type Source = 'core' | 'tenant' | 'central' | 'plugin';

/** A migration as the files say it is. */
export interface Migration {
  /** The file's path in its folder, or that of the folder that holds just this one, without extension: the identity. */
  name: string;
  /** What its name says its version is, as `versionOf` writes it; empty without one. */
  version: string;
  /** `v2:` and the SHA-256 in hex of `up`, and behind another colon that of `down` (engine 56). */
  checksum: string;
  /** `v1:` and the SHA-256 in hex of the whole file: what versions up to 0.1.0 recorded. */
  fileChecksum: string;
  source: Source;
  /** Of a plugin's migration: which one's. Out-of-order is judged among its own only. */
  plugin?: string;
  /** The file that holds `up`. */
  path: string;
  up: Script | ForeignScript;
  down?: Script;
  /** What its marker says of copies. */
  share?: Share;
  /** The checksum of the foreign migration whose place this SQL takes: what was recorded for that one counts for it. */
  insteadOf?: string;
  /** SQL that makes, in a database where nothing is applied, what this one and those before it make. */
  snapshot?: Snapshot;
  /** It is run from a snapshot: what is recorded with it, itself last. */
  replaces?: readonly Migration[];
  /** It is still the template that `create` wrote. */
  untouched?: boolean;
  /** A tenant's copy of what core has no more: where it is not applied, it is passed by. */
  withdrawn?: boolean;
}

/** `-- mpm:replaces FIRST..LAST sha256:…`: what a stretch of migrations makes, as one SQL file. */
export interface Snapshot {
  /** Its file's, without extension. */
  name: string;
  path: string;
  up: SqlScript;
  /** In their order. */
  replaces: readonly Migration[];
}

/** What a file says of its being copied: each tenant runs it for itself, or all are to have the same of it (fleet 45). */
export type Share = 'per-tenant' | 'shared';

export const SHARE_HINT = 'write -- mpm:per-tenant, or -- mpm:shared';

/** @param text a comment from `mpm:` on; undefined: it says neither */
export function shareOf(text: string): Share | undefined {
  const [, word] = /^mpm:(\S+)/.exec(text) ?? [];
  return word === 'per-tenant' || word === 'shared' ? word : undefined;
}

/** @param text a comment from `mpm:` on: what `lint` reads, and a run doesn't */
export function isForLint(text: string): boolean {
  return /^mpm:allow(?![\w-])/.test(text);
}

export type Direction = 'up' | 'down';

/** What `up` runs of a migration; the plan has refused a foreign one before. */
export function runnable({ name, up }: Migration): Script {
  if (up.kind === 'foreign') throw new Error(`${name} is ${up.tool}'s, and can't be run`);
  return up;
}
