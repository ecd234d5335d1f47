import { MpmError } from '../../errors.ts';
import { excerptsOf } from '../sql/locate.ts';
import { fileLabel } from './files.ts';
import { instead, type Lookalike } from './lookalike.ts';
import {
  type MigrationOptions,
  type SqlScript,
  type Share,
  SHARE_HINT,
  isForLint,
  shareOf,
} from '../migration.ts';
import { scan, type ScanProblem } from '../sql/scan.ts';
import { divide, type SqlFileKind } from './sections.ts';
import { type Replaces, replacesOf } from './snapshot.ts';
import type { Tool } from './sign.ts';
import { type Complaint, readSection, type Section, shorten } from './sql-section.ts';

/** The scripts of one `.sql` file, and everything that is wrong with it. */
export interface SqlFile {
  up?: SqlScript;
  down?: SqlScript;
  share?: Share;
  /** It is a snapshot: what it stands for. */
  standsFor?: Replaces;
  problems: MpmError[];
}

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
 * @param defaults the options of a section whose marker doesn't say otherwise
 */
export function parseSqlFile(
  path: string,
  text: string,
  kind: SqlFileKind = 'both',
  defaults: MigrationOptions = { transaction: true },
): SqlFile {
  const found = scan(text);
  const { statements, problems, notes } = found;
  const { sections, isMarked, complaints, headings, ends, tool } = divide(text, found, kind, defaults);
  const lookalikes = withoutSentences([...found.lookalikes, ...headings], tool);
  const blanks: [start: number, end: number][] = [];

  for (const problem of problems) {
    const line = text.slice(problem.offset, problem.end);
    // pg_dump writes them around its output since August 2025.
    if (problem.kind === 'meta-command' && /^\\(?:un)?restrict(?:\s|$)/.test(line)) {
      blanks.push([problem.offset, problem.end]);
      continue;
    }
    complaints.push(complaintOf(problem, line));
  }
  for (const found of lookalikes) {
    const section = sections.find((each) => each.start <= found.offset && found.offset < each.end);
    const within = (isMarked ? section?.direction : undefined) ?? kind;
    const end = section?.end ?? sections[0]?.start ?? text.length;
    // People write a rollback below its heading as comments: nothing of that is run.
    const runs = statements.some((each) => each.end > found.offset && each.start < end);
    if (found.plain && (found.direction === within || !runs)) continue;
    complaints.push({
      offset: found.offset,
      kind: 'lookalike',
      message: `${shorten(found.text)} looks like a marker, but is none that is known`,
      hint: instead(found, kind === 'both' ? undefined : kind, tool),
    });
  }

  const file: SqlFile = { problems: [] };
  for (const { offset, text: said } of notes) {
    if (isForLint(said)) continue;
    const standsFor = replacesOf(said);
    if (standsFor) {
      file.standsFor = standsFor;
      continue;
    }
    const share = shareOf(said);
    if (share && file.share !== undefined && file.share !== share) {
      complaints.push({ offset, message: `${said} contradicts mpm:${file.share}`, hint: 'keep one of them' });
    } else if (share) file.share = share;
    else if (!lookalikes.some((each) => each.offset === offset)) {
      complaints.push({
        offset,
        kind: 'note',
        message: `${shorten(said)} is not a marker`,
        hint: `${SHARE_HINT}; for lint: -- mpm:allow RULE reason`,
      });
    }
  }
  for (const section of sections) {
    const { direction, parts } = section;
    const source = parts ? only(text, parts) : text;
    const own = parts ? scan(source) : found;
    const broken = own.problems.filter((problem) => problem.kind !== 'meta-command');
    for (const each of parts ? broken : [])
      complaints.push(complaintOf(each, text.slice(each.offset, each.end)));
    const within = own.statements.filter((each) => each.start >= section.start && each.start < section.end);
    const read = readSection(section, within, text);
    // In a file with broken quoting, what looks like a statement may be none.
    for (const each of broken.length ? [] : read.complaints) complaints.push(each);
    const { mode, outsideFor, blocks } = read;
    const { options, written = outsideFor === undefined ? undefined : options } = section;
    file[direction] = {
      ...script(path, text, source, section, [...blanks, ...read.blanks], ends),
      options: outsideFor === undefined ? options : { ...options, transaction: false },
      ...(written && { written }),
      ...(mode !== undefined && { mode }),
      ...(blocks && { blocks }),
      ...(outsideFor !== undefined && { outsideFor }),
    };
  }
  file.problems = errorsOf(path, text, complaints);
  return file;
}

/** So many mistakes of a file are told, and in any case the first of each kind. */
const MOST = 1000;

function errorsOf(path: string, text: string, complaints: readonly Complaint[]): MpmError[] {
  const all = complaints.toSorted((a, b) => a.offset - b.offset);
  const kinds = new Set<string>();
  const told = all.filter(({ kind, message }, index) => {
    const isNew = !kinds.has(kind ?? message);
    kinds.add(kind ?? message);
    return isNew || index < MOST;
  });
  const excerptAt = excerptsOf(path, text);
  return told.map(({ offset, message, hint }, index) => {
    const excerpt = excerptAt(offset);
    const place = `${fileLabel(path)}:${excerpt.line}:${excerpt.column}`;
    const more = index === told.length - 1 ? all.length - told.length : 0;
    const rest = more ? ` (and ${more} more in this file)` : '';
    return new MpmError('MIGRATION_INVALID', `${place}: ${message}${rest}`, { hint, subject: path, excerpt });
  });
}

/** A sentence about an up or a down migration is one, unless there are both, or markers of node-pg-migrate. */
function withoutSentences(found: readonly Lookalike[], tool: Tool | undefined): Lookalike[] {
  const migrations = found.filter(({ text }) => /migration/i.test(text));
  const both = new Set(migrations.map(({ direction }) => direction)).size > 1;
  return found.filter(({ isSentence }) => !isSentence || both || tool === 'node-pg-migrate');
}

function complaintOf(problem: ScanProblem, line: string): Complaint {
  const { what, hint } = PROBLEMS[problem.kind];
  const shown = problem.kind === 'meta-command' ? `${what}: ${line.slice(0, 60).trimEnd()}` : what;
  return { offset: problem.offset, kind: problem.kind, message: shown, hint };
}

/** A text of which everything but the parts is blank. */
function only(text: string, parts: readonly (readonly [number, number])[]): string {
  let at = 0;
  let result = '';
  for (const [start, end] of parts) {
    result += blank(text.slice(at, start)) + text.slice(start, end);
    at = end;
  }
  return result + blank(text.slice(at));
}

function blank(text: string): string {
  return text.replace(/[^\r\n]/g, ' ');
}

function script(
  path: string,
  text: string,
  source: string,
  { start, end, parts }: Section,
  blanks: readonly [start: number, end: number][],
  ends: readonly [start: number, end: number][],
): Omit<SqlScript, 'options'> {
  const isWithin = ([from, to]: readonly [number, number]) => start <= from && to <= end;
  const blanked = replaced(source, blanks.filter(isWithin), '');
  const sql = replaced(blanked, ends.filter(isWithin), ';').slice(start, end);
  return { kind: 'sql', path, text, sql, start, ...(parts && { parts }) };
}

/** A text of the same length, of which each range is blank but for what it begins with. */
function replaced(
  text: string,
  ranges: readonly (readonly [start: number, end: number])[],
  first: string,
): string {
  const pieces: string[] = [];
  let at = 0;
  for (const [from, to] of ranges.toSorted(([a], [b]) => a - b)) {
    if (to <= at) continue;
    const begin = Math.max(at, from);
    pieces.push(text.slice(at, begin), first, blank(text.slice(begin + first.length, to)));
    at = to;
  }
  return pieces.join('') + text.slice(at);
}
