import type { Direction } from '../migration.ts';

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
}

const DOWN = 'downs?|downgrade|undo|rollback|revert';
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
  String.raw`^${GAP}(?:migrat(?:e|ions?)\s*[:=]\s*(?:up|down)(?!\p{L})|(?<=\+\s*)(?:goose|migrate)(?!\p{L})|liquibase formatted sql)`,
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
  if (!points) return undefined;
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

/** What to write instead. */
export function instead({ text, direction }: Lookalike, half: Direction | undefined): string {
  const comment = 'If it is only a comment, reword it';
  if (/liquibase/i.test(text)) {
    return 'remove it; write -- migrate:up above the changes, and the SQL of the --rollback lines below -- migrate:down';
  }
  if (/statement(?:begin|end)/i.test(text)) return 'remove it: statements need no markers here';
  const options = /no[ _-]?transaction/i.test(text) ? ' transaction:false' : '';
  if (half && direction && direction !== half) {
    return `move what follows to the .${direction}.sql file. ${comment}`;
  }
  if (direction) return `write -- migrate:${direction}${options} on a line of its own. ${comment}`;
  if (options) return 'write transaction:false behind -- migrate:up';
  return `write -- migrate:up above the changes, and -- migrate:down above what reverts them. ${comment}`;
}
