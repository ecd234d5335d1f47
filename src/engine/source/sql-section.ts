import type { MigrationOptions, Direction } from '../migration.ts';
import type { Statement } from '../sql/scan.ts';

/** A section of a `.sql` file, in UTF-16 units of the file. */
export interface Section {
  direction: Direction;
  start: number;
  end: number;
  options: MigrationOptions;
  /** What its marker says, where a switch of another tool decides as well. */
  written?: MigrationOptions;
  /** Its marker says transaction:true. */
  insisted?: boolean;
  /** Where its text lies between `start` and `end`; absent: all of it is. */
  parts?: readonly (readonly [start: number, end: number])[];
}

/** Something wrong at a place of a file. */
export interface Complaint {
  offset: number;
  /** What is the same mistake again; by default the message. */
  kind?: string;
  message: string;
  hint: string;
}

/** What must not be sent, and what keeps the section from being run. */
export interface SectionReading {
  blanks: [start: number, end: number][];
  complaints: Complaint[];
  /** The mode of its transaction that it asks for, as BEGIN has it. */
  mode?: string;
  /** The statement for which it runs outside a transaction, though nothing says so (engine 41). */
  outsideFor?: string;
  /** Outside a transaction: what is between its own BEGIN and COMMIT, each time. */
  blocks?: [start: number, end: number][];
}

/** Reads a section's statements for what does not go with the way in which it is run (engine 5, 9, 41, 42). */
export function readSection(
  section: Section,
  statements: readonly Statement[],
  text: string,
): SectionReading {
  const { transaction } = section.options;
  const controls = statements.filter(controlsTransaction);
  const blocks = blocksOf(statements);
  const [first] = statements;
  const inBlocks = new Set(blocks.flatMap((block) => block.slice(1, -1)));
  const inner = statements.filter((statement) => !controlsTransaction(statement));
  const outside = inner.filter((statement) => needsNoTransaction(statement, text));
  const bare = outside.filter((statement) => !inBlocks.has(statement));
  const setting = leadingModes(inner);

  const isOutside = !transaction || (bare.length > 0 && !section.insisted);
  const shown = ({ start, end }: Statement): string => shorten(text.slice(start, end));
  // In one transaction, blocks of a file's own say only what is so anyway; outside one, each is a transaction.
  const complaints = blocks.length === 0 ? controls.map((each) => midway(isOutside, shown(each), each)) : [];
  for (const block of isOutside ? [] : blocks) complaints.push(...lasting(block, inner.at(-1), text));
  const asking = [...(first && blocks[0]?.[0] === first && modesOf(first) !== '' ? [first] : []), ...setting];
  for (const statement of asking) {
    const problem = isOutside ? MODE_WITHOUT : modeProblem(modesOf(statement));
    if (!problem) continue;
    complaints.push({
      offset: statement.start,
      kind: 'modes',
      message: `${shown(statement)}: ${problem.what}`,
      hint: problem.hint,
    });
  }
  for (const statement of outside) {
    const isInside = inBlocks.has(statement);
    if (isInside || !isOutside) complaints.push(insideOnly(section, statement, text, isInside));
  }
  const unsent = [...controls, ...setting];
  const mode = modeOf(asking.map(modesOf).join(' '));
  const [cause] = bare;
  return {
    blanks: (isOutside ? controls : unsent).map(({ start, next }) => [start, next]),
    complaints,
    ...(mode !== undefined && !isOutside && { mode }),
    ...(isOutside &&
      blocks.length > 0 && { blocks: blocks.map((block) => [block[0]!.next, block.at(-1)!.start]) }),
    ...(transaction && isOutside && cause && { outsideFor: shorten(text.slice(cause.start, cause.end)) }),
  };
}

/**
 * The BEGIN … COMMIT blocks, both included; none where one of the two lacks the other, ends otherwise, or has modes and
 * isn't the first statement.
 */
function blocksOf(statements: readonly Statement[]): Statement[][] {
  const blocks: Statement[][] = [];
  let open: number | undefined;
  for (const [at, statement] of statements.entries()) {
    if (!controlsTransaction(statement)) continue;
    if (open === undefined) {
      if (!opens(statement) || (at > 0 && modesOf(statement) !== '')) return [];
      open = at;
    } else {
      if (!closes(statement)) return [];
      blocks.push(statements.slice(open, at + 1));
      open = undefined;
    }
  }
  return open === undefined ? blocks : [];
}

/** A SET LOCAL ends with its block; in one transaction it would last for what follows, too. */
function lasting(block: readonly Statement[], last: Statement | undefined, text: string): Complaint[] {
  if (!last || last.start < block.at(-1)!.end) return [];
  const local = block.filter(({ words }) => words[0] === 'set' && words[1] === 'local');
  return local.map(({ start, end }) => ({
    offset: start,
    kind: 'lasting',
    message: `${shorten(text.slice(start, end))} ends at COMMIT, but the whole file runs in one transaction`,
    hint: 'remove it, or put what follows COMMIT into a file of its own',
  }));
}

function midway(isOutside: boolean, shown: string, { start }: Statement): Complaint {
  return {
    offset: start,
    kind: 'control',
    message: `${shown} would end or start a transaction in the middle of the migration`,
    hint: isOutside
      ? 'remove it: outside a transaction each statement is committed separately'
      : 'remove it: the whole file runs in one transaction. Use several files for several transactions',
  };
}

function insideOnly(section: Section, { start, end }: Statement, text: string, wrapped: boolean): Complaint {
  return {
    offset: start,
    kind: 'outside',
    message: `${shorten(text.slice(start, end))} cannot run inside a transaction`,
    hint: wrapped
      ? 'remove BEGIN and COMMIT: without them the file runs statement by statement, outside a transaction'
      : `remove transaction:true behind the marker of ${section.direction}`,
  };
}

/** BEGIN, COMMIT and their kin; not SAVEPOINT, nor ROLLBACK TO one. */
function controlsTransaction({ words }: Statement): boolean {
  const [first, second, third] = words;
  switch (first) {
    case 'begin':
    case 'commit':
    case 'end':
    case 'abort':
      return true;
    case 'start':
    case 'prepare':
      return second === 'transaction';
    case 'rollback':
      return !(second === 'to' || ((second === 'work' || second === 'transaction') && third === 'to'));
    default:
      return false;
  }
}

function opens({ words }: Statement): boolean {
  return words[0] === 'begin' || words[0] === 'start';
}

function closes({ words }: Statement): boolean {
  const [first, ...rest] = words;
  if (first !== 'commit' && first !== 'end') return false;
  const tail = rest.join(' ').replace(/^(?:work|transaction)\b ?/, '');
  return tail === '' || tail === 'and no chain';
}

/** Behind BEGIN, START TRANSACTION or SET TRANSACTION. */
function modesOf({ words }: Statement): string {
  return words.join(' ').replace(/^(?:begin|start|set(?: local| session)?)(?: work| transaction)?\b ?/, '');
}

/** SET TRANSACTION among the SETs that a section begins with: behind a query it would come too late. */
function leadingModes(statements: readonly Statement[]): Statement[] {
  const end = statements.findIndex(({ words }) => words[0] !== 'set');
  const leading = end < 0 ? statements : statements.slice(0, end);
  return leading.filter(({ words }) => /^set (?:local |session )?transaction\b/.test(words.join(' ')));
}

const ISOLATION = /isolation level (read committed|read uncommitted|repeatable read|serializable)/g;

/** What BEGIN is to say, where it is not what it says anyway: of several levels the last counts. */
function modeOf(modes: string): string | undefined {
  const level = [...modes.matchAll(ISOLATION)].at(-1)?.[1];
  return level === undefined || level.startsWith('read ') ? undefined : `isolation level ${level}`;
}

const MODE_WITHOUT = {
  what: 'the file runs outside a transaction, so there is none to have that mode',
  hint: 'remove it, or put what needs it into a file of its own',
};

function modeProblem(modes: string): { what: string; hint: string } | undefined {
  if (/\bread only\b/.test(modes)) {
    return {
      what: 'the migration is recorded in its own transaction, which must write',
      hint: 'remove READ ONLY',
    };
  }
  if (modes.startsWith('snapshot')) {
    return { what: 'a snapshot is of one session, and is gone with it', hint: 'remove it' };
  }
  const rest = modes.replace(ISOLATION, '').replace(/read write|(?:not )?deferrable/g, '');
  return rest.trim() === '' ? undefined : { what: 'a mode that is not known', hint: 'remove it' };
}

/** Statements that PostgreSQL refuses in a transaction block whatever their arguments are. */
function needsNoTransaction({ words, start, end }: Statement, file: string): boolean {
  const text = words.join(' ');
  const [first] = words;
  switch (first) {
    case 'create':
      return (
        /^create (?:unique )?index concurrently\b|^create (?:database|tablespace)\b/.test(text) ||
        (words[1] === 'subscription' &&
          !/(?:connect|create_slot)\s*=\s*(?:false|off|0)/i.test(file.slice(start, end)))
      );
    case 'drop':
      return /^drop (?:index concurrently|database|tablespace)\b/.test(text);
    case 'reindex':
      return (
        /^reindex (?:(?:index|table) concurrently|schema|database|system)\b/.test(text) ||
        /^reindex\s*\([^)]*concurrently/i.test(file.slice(start, end))
      );
    case 'alter':
      return (
        /^alter system\b|^alter table .*\bdetach partition .+ concurrently$/.test(text) ||
        /^alter database .*\bset tablespace\b/.test(text) ||
        (/^alter subscription .*\b(?:refresh|(?:set|add|drop) publication)\b/.test(text) &&
          !/refresh\s*=\s*(?:false|off|0)/i.test(file.slice(start, end)))
      );
    case 'vacuum':
      return true;
    case 'cluster':
      return text === 'cluster' || text === 'cluster verbose';
    case 'discard':
      return words[1] === 'all';
    default:
      return false;
  }
}

/** A statement or comment on one line, cut to what names it. */
export function shorten(statement: string): string {
  const line = statement.replace(/\s+/g, ' ');
  return line.length > 60 ? `${line.slice(0, 59)}…` : line;
}
