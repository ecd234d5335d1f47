import type { Direction } from '../migration.ts';
import { OURS, OUTSIDE, SECTIONS } from './words.ts';
import type { Tool } from './sign.ts';

/** A comment that looks as if a section began below it, but is none of our markers (engine 43). */
export interface Lookalike {
  offset: number;
  end: number;
  /** The comment as it stands there. */
  text: string;
  /** Which way it seems to go; undefined when it names both or neither. */
  direction: Direction | undefined;
  /** Nothing but words for the direction: such a line may be a heading as well. */
  plain: boolean;
  /** node-pg-migrate takes it for a marker, but as well it can be a sentence: it counts beside others of its kind. */
  isSentence?: boolean;
}

const DOWN = 'downs?|downgrade|undo|rollback|revert|reverse';
const UP = 'ups?';
const TOOL =
  'mpm|goose|migrate|rambler|dbmate|tern|play|evolutions?|liquibase|flyway|knex|kysely|prisma|mybatis|sqitch';
const OTHER = 'create|drop|above|below|migrations?|script|section|sql|notransaction';
const GAP = String.raw`[^\p{L}\p{N}]*`;
const ONLY_MARKER_WORDS = new RegExp(`^${GAP}(?:(?:${DOWN}|${UP}|change|${TOOL}|${OTHER})${GAP})+$`, 'iu');
const POINTS = new RegExp(String.raw`(?<!\p{L})(?:${DOWN}|${UP}|change)(?!\p{L})`, 'iu');
const GLUED = new RegExp(`(?:${TOOL}|migration)s?(?:${DOWN}|${UP})`, 'iu');
/** Words of tern's one marker, `---- create above / drop below ----`. */
const CREATE_DROP = /(?:create|drop)[^\p{L}]+(?:above|below)/iu;
/** What nobody writes but as a marker, whatever stands behind it. */
const UNMISTAKABLE = new RegExp(
  String.raw`^${GAP}(?:migrat(?:e|ions?)\s*[:=]\s*(?:up|down)(?!\p{L})|(?<=\+\s*)(?:goose|migrate)(?!\p{L})|liquibase formatted)`,
  'iu',
);
const OPTION = /\b(?:transaction|lock_timeout|statement_timeout)\s*[:=]\s*\w+/gi;
const LONGEST = 300;

/**
 * Tells whether a comment looks like a marker.
 * @param alone it has a line of its own; another one is a marker only when it can be nothing else
 */
export function lookalikeAt(
  text: string,
  offset: number,
  end: number,
  alone: boolean,
): Lookalike | undefined {
  if (end - offset > LONGEST) return undefined;
  const comment = text.slice(offset, end).trimEnd();
  const inner = comment.startsWith('/*') ? comment.slice(2, -2) : comment.slice(2);
  const words = inner.replaceAll(OPTION, '');
  const points =
    UNMISTAKABLE.test(inner) ||
    (alone &&
      ONLY_MARKER_WORDS.test(words) &&
      (POINTS.test(words) || GLUED.test(words) || CREATE_DROP.test(words)));
  if (!points) return alone ? sentenceAt(offset, end, comment) : undefined;
  const named = (way: string) =>
    new RegExp(String.raw`(?:^|[^\p{L}]|${TOOL}|migration)(?:${way})(?!\p{L})`, 'iu').test(words);
  const [up, down] = [named(UP), named(DOWN)];
  return {
    offset,
    end,
    text: comment,
    direction: up === down ? undefined : up ? 'up' : 'down',
    plain: !new RegExp(String.raw`[+@#!$:]\p{L}|(?<!\p{L})(?:${TOOL})`, 'iu').test(inner),
  };
}

function sentenceAt(offset: number, end: number, text: string): Lookalike | undefined {
  const [, word] = /^--[\s-]*(up|down)\s+migration/i.exec(text) ?? [];
  if (word === undefined) return undefined;
  const direction = word.toLowerCase() === 'up' ? 'up' : 'down';
  return { offset, end, text, direction, plain: true, isSentence: true };
}

/**
 * What to write instead.
 * @param tool whose markers the file has
 */
export function instead(
  { text, direction, isSentence }: Lookalike,
  half: Direction | undefined,
  tool: Tool | undefined,
): string {
  const comment = 'If it is only a comment, reword it';
  if (isSentence && direction) {
    return `write ${SECTIONS['node-pg-migrate']?.[direction]} alone on its line. ${comment}`;
  }
  if (/^--[\s-]*down\s+migration/i.test(text) && !half) {
    return `write -- Up Migration above the changes: without it, node-pg-migrate runs the file as a whole. ${comment}`;
  }
  if (/liquibase/i.test(text)) return `write it as the first line of the file. ${comment}`;
  const theirs = /goose/i.test(text) ? 'goose' : /\+\s*migrate/i.test(text) ? 'sql-migrate' : tool;
  const words = (theirs && SECTIONS[theirs]) ?? OURS;
  if (/statement(?:begin|end)/i.test(text)) {
    return 'remove it: statements need no markers here';
  }
  const options = /no[ _-]?transaction/i.test(text) ? ' transaction:false' : '';
  if (half && direction && direction !== half) {
    return `move what follows to the .${direction}.sql file. ${comment}`;
  }
  if (theirs && OUTSIDE[theirs] && options) return OUTSIDE[theirs];
  if (direction) return `write ${words[direction]}${options} on a line of its own. ${comment}`;
  if (options) return 'write transaction:false behind -- migrate:up';
  return `write ${words.up} above the changes, and ${words.down} above what reverts them. ${comment}`;
}
