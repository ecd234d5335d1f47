import type { Note } from '../engine/sql/scan.ts';

/** A comment that allows a rule's findings at a place. */
export interface Allow {
  rule: string;
  reason: string;
  /** Where it is, in UTF-16 units of the file; of a module, 0. */
  offset: number;
}

const ALLOW = /^mpm:allow(?![\w-])[ \t]*(\S*)[ \t]*(.*)$/;

/** @param note a comment from `mpm:` on */
export function allowOf({ text, offset }: Pick<Note, 'text' | 'offset'>): Allow | undefined {
  const [whole, rule = '', reason = ''] = ALLOW.exec(text) ?? [];
  return whole === undefined ? undefined : { rule, reason: reason.trim(), offset };
}

/** Those of a module: each holds for all of it. */
export function allowsInModule(text: string): Allow[] {
  const notes = text.matchAll(/^[ \t]*\/\/[ \t]*(mpm:allow[^\r\n]*)/gm);
  return [...notes].flatMap(([, said = '']) => allowOf({ text: said, offset: 0 }) ?? []);
}
