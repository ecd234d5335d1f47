import { basename } from 'node:path';
import { DURATION_FORM, parseDuration } from '../../pace.ts';
import { MpmError } from '../../errors.ts';
import { excerptAt } from '../sql/locate.ts';
import { instead } from './lookalike.ts';
import {
  type MigrationOptions,
  type SqlScript,
  type Share,
  SHARE_HINT,
  shareOf,
  type Direction,
} from '../migration.ts';
import { scan, type ScanProblem } from '../sql/scan.ts';
import { type Complaint, readSection, type Section, shorten } from './sql-section.ts';

/** The scripts of one `.sql` file, and everything that is wrong with it. */
export interface SqlFile {
  up?: SqlScript;
  down?: SqlScript;
  share?: Share;
  problems: MpmError[];
}

/** What a `.sql` file may hold: both sections, or, as half of a pair, one. */
export type SqlFileKind = 'both' | Direction;

const PROBLEMS: Record<ScanProblem['kind'], { what: string; hint: string }> = {
  quote: { what: "this string has no closing '", hint: "close it; write a ' inside it as ''" },
  identifier: { what: 'this name has no closing "', hint: 'close it; write a " inside it as ""' },
  'dollar-quote': { what: 'this dollar quote is never closed', hint: 'end it with the same $tag$' },
  comment: { what: 'this comment has no */', hint: 'close it; comments nest, each /* needs its */' },
  parenthesis: { what: 'this parenthesis is never closed', hint: 'close it before the end of the statement' },
  nul: { what: 'a NUL byte', hint: "remove it: PostgreSQL text can't contain it" },
  'meta-command': {
    what: 'a psql command',
    hint: 'remove it: only psql understands it. Write out the SQL of variables and \\i',
  },
  'copy-data': {
    what: 'COPY … FROM STDIN with its data in the file',
    hint: 'write the rows as INSERT statements (pg_dump --inserts), or load them after the migration',
  },
};

/**
 * Takes one `.sql` file apart.
 * @param text the file without its BOM, line ends as they are
 */
export function parseSqlFile(path: string, text: string, kind: SqlFileKind = 'both'): SqlFile {
  const { statements, problems, markers, notes, lookalikes } = scan(text);
  const complaints: Complaint[] = [];
  const blanks: [start: number, end: number][] = [];

  for (const problem of problems) {
    const line = text.slice(problem.offset, problem.end);
    // pg_dump writes them around its output since August 2025.
    if (problem.kind === 'meta-command' && /^\\(?:un)?restrict(?:\s|$)/.test(line)) {
      blanks.push([problem.offset, problem.end]);
      continue;
    }
    const { what, hint } = PROBLEMS[problem.kind];
    const shown = problem.kind === 'meta-command' ? `${what}: ${line.slice(0, 60).trimEnd()}` : what;
    complaints.push({ offset: problem.offset, kind: problem.kind, message: shown, hint });
  }

  const sections = new Map<Direction, Section>();
  const firstMarker = markers[0];
  if (!firstMarker) {
    const direction = kind === 'both' ? 'up' : kind;
    sections.set(direction, { direction, start: 0, end: text.length, options: { transaction: true } });
  } else {
    const stray = statements.find((statement) => statement.start < firstMarker.offset);
    if (stray) {
      complaints.push({
        offset: stray.start,
        message: 'SQL before the first marker belongs to no section',
        hint: markers.some(({ text: marker }) => /^migrate:up(?:\s|$)/.test(marker))
          ? 'move it below -- migrate:up'
          : 'write -- migrate:up above it',
      });
    }
  }
  markers.forEach((marker, index) => {
    const [word = '', ...rest] = marker.text.split(/[ \t]+/);
    const direction = word === 'migrate:up' ? 'up' : word === 'migrate:down' ? 'down' : undefined;
    const complain = (message: string, hint: string) =>
      complaints.push({ offset: marker.offset, message, hint });
    if (!direction) {
      complain(`${word} is not a marker`, 'write -- migrate:up or -- migrate:down');
      return;
    }
    if (sections.has(direction)) {
      complain(`a second ${word} section`, 'put both into one section');
      return;
    }
    if (kind !== 'both' && kind !== direction) {
      complain(
        `a ${word} section in a .${kind}.sql file`,
        `move it to the .${direction}.sql file, or put both sections into one .sql file`,
      );
    }
    const { options, complaints: wrong } = parseOptions(rest);
    for (const each of wrong) complain(each.message, each.hint);
    sections.set(direction, {
      direction,
      start: marker.end,
      end: markers[index + 1]?.offset ?? text.length,
      options,
    });
  });
  for (const found of lookalikes) {
    const section = markers.findLast((marker) => marker.offset < found.offset);
    const end = markers.find((marker) => marker.offset > found.offset)?.offset ?? text.length;
    const within = section ? /^migrate:(up|down)\b/.exec(section.text)?.[1] : kind;
    // People write a rollback below its heading as comments: nothing of that is run.
    const runs = statements.some((each) => each.end > found.offset && each.start < end);
    if (found.plain && (found.direction === within || !runs)) continue;
    complaints.push({
      offset: found.offset,
      kind: 'lookalike',
      message: `${shorten(found.text)} looks like a marker, but only -- migrate:up and -- migrate:down start a section`,
      hint: instead(found, kind === 'both' ? undefined : kind),
    });
  }
  const wanted = kind === 'both' ? 'up' : kind;
  if (firstMarker && !sections.has(wanted) && complaints.length === 0) {
    complaints.push({
      offset: firstMarker.offset,
      message: `there is no -- migrate:${wanted} section`,
      hint: `add -- migrate:${wanted}; it may be empty`,
    });
  }

  const file: SqlFile = { problems: [] };
  for (const { offset, text: said } of notes) {
    const share = shareOf(said);
    if (share && file.share !== undefined && file.share !== share) {
      complaints.push({ offset, message: `${said} contradicts mpm:${file.share}`, hint: 'keep one of them' });
    } else if (share) file.share = share;
    else if (!lookalikes.some((each) => each.offset === offset)) {
      complaints.push({
        offset,
        kind: 'note',
        message: `${shorten(said)} is not a marker`,
        hint: SHARE_HINT,
      });
    }
  }
  for (const section of sections.values()) {
    const within = statements.filter((each) => each.start >= section.start && each.start < section.end);
    const read = readSection(section, within, text);
    // In a file with broken quoting, what looks like a statement may be none.
    if (problems.every((problem) => problem.kind === 'meta-command')) complaints.push(...read.complaints);
    file[section.direction] = script(path, text, section, [...blanks, ...read.blanks], section.options);
  }
  file.problems = firstOfEach(complaints).map(({ offset, message, hint, more }) => {
    const excerpt = excerptAt(path, text, offset);
    const place = `${basename(path)}:${excerpt.line}:${excerpt.column}`;
    const rest = more ? ` (and ${more} more in this file)` : '';
    return new MpmError('MIGRATION_INVALID', `${place}: ${message}${rest}`, { hint, subject: path, excerpt });
  });
  return file;
}

/** One mistake made a hundred times must not hide the others, nor those of other files. */
function firstOfEach(complaints: readonly Complaint[]): (Complaint & { more: number })[] {
  const kinds = new Map<string, Complaint & { more: number }>();
  for (const complaint of complaints.toSorted((a, b) => a.offset - b.offset)) {
    const kind = complaint.kind ?? complaint.message;
    const first = kinds.get(kind);
    if (first) first.more += 1;
    else kinds.set(kind, { ...complaint, more: 0 });
  }
  return [...kinds.values()];
}

function script(
  path: string,
  text: string,
  { start, end }: Section,
  blanks: [start: number, end: number][],
  options: MigrationOptions,
): SqlScript {
  let sql = text.slice(start, end);
  for (const [from, to] of blanks) {
    if (from < start || to > end) continue;
    const blank = sql.slice(from - start, to - start).replace(/[^\r\n]/g, ' ');
    sql = sql.slice(0, from - start) + blank + sql.slice(to - start);
  }
  return { kind: 'sql', path, text, sql, start, options };
}

const KNOWN = 'known options: transaction:false, lock_timeout:5s, statement_timeout:10min';

/** Reads what stands behind a `-- migrate:up` or `-- migrate:down` marker. */
function parseOptions(words: readonly string[]): {
  options: MigrationOptions;
  complaints: { message: string; hint: string }[];
} {
  const options: MigrationOptions = { transaction: true };
  const complaints: { message: string; hint: string }[] = [];
  const seen = new Set<string>();
  for (const word of words.filter(Boolean)) {
    const colon = word.indexOf(':');
    const key = colon < 0 ? word : word.slice(0, colon);
    const value = colon < 0 ? '' : word.slice(colon + 1);
    const complain = (message: string, hint: string) => complaints.push({ message, hint });
    if (seen.has(key)) complain(`the option ${key} appears twice`, 'keep one of them');
    seen.add(key);
    if (key === 'transaction') {
      if (value === 'true' || value === 'false') options.transaction = value === 'true';
      else complain(`${word} is not a value of transaction`, 'write transaction:false or transaction:true');
    } else if (key === 'lock_timeout' || key === 'statement_timeout') {
      const ms = value === '' ? undefined : parseDuration(value);
      if (ms === undefined) complain(`${word} is not a duration`, `${key}: needs ${DURATION_FORM}`);
      else options[key === 'lock_timeout' ? 'lockTimeout' : 'statementTimeout'] = ms;
    } else {
      complain(`unknown option ${key}`, KNOWN);
    }
  }
  return { options, complaints };
}
