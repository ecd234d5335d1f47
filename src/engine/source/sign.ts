import type { Direction } from '../migration.ts';

/** Whose marker it is. Ours are dbmate's. */
export type Tool =
  | 'mpm-migrate'
  | 'goose'
  | 'sql-migrate'
  | 'node-pg-migrate'
  | 'tern'
  | 'liquibase'
  | 'sqlx'
  | 'atlas'
  | 'postgres-migrations'
  | 'drizzle';

/**
 * What a marker says. `divide`: up is above it, down below. `begin`, `end`: around one statement, which needs no `;`.
 * `break`: a statement ends. `outside`: the file, or of tern the section, runs outside a transaction. `revert`: what is
 * between `from` and `to` is part of down. `none`: nothing that matters here.
 */
export type Sign =
  | { kind: 'section'; direction: Direction; options?: string | undefined }
  | { kind: 'divide' | 'begin' | 'end' | 'break' | 'outside' | 'none' }
  | { kind: 'revert'; from: number; to: number }
  | { kind: 'refused'; message: string; hint: string };

/** A comment that says something of the file to a tool, in UTF-16 units of the file. */
export interface Marker {
  offset: number;
  end: number;
  /** The comment. */
  text: string;
  tool: Tool;
  sign: Sign;
}
