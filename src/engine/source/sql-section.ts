import type { MigrationOptions, Direction } from '../migration.ts';
import type { Statement } from '../sql/scan.ts';

/** A section of a `.sql` file, in UTF-16 units of the file. */
export interface Section {
  direction: Direction;
  start: number;
  end: number;
  options: MigrationOptions;
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
}

/** Reads a section's statements for what does not go with the way in which it is run (engine 5, 9). */
export function readSection(
  section: Section,
  statements: readonly Statement[],
  text: string,
): SectionReading {
  const controls = statements.filter(controlsTransaction);
  const [first, last] = [statements[0], statements.at(-1)];
  const wrapped =
    controls.length === 2 &&
    first &&
    last &&
    controls[0] === first &&
    controls[1] === last &&
    opens(first) &&
    closes(last);

  if (wrapped && section.options.transaction) {
    const modes = modesOf(first);
    if (harmless(modes)) {
      const inner = statements.slice(1, -1);
      return {
        blanks: [
          [first.start, first.next],
          [last.start, last.next],
        ],
        complaints: outsideOnly(section, inner, text, true),
      };
    }
  }
  if (wrapped && !section.options.transaction) {
    return { blanks: [], complaints: [wrappedWithout(first, statements.slice(1, -1), text)] };
  }
  const complaints = controls.map((statement): Complaint => {
    const shown = shorten(text.slice(statement.start, statement.end));
    if (wrapped) {
      return {
        offset: statement.start,
        kind: 'modes',
        message: `${shown}: a transaction with modes of its own`,
        hint: 'remove BEGIN and COMMIT: each migration already runs in a transaction (read committed)',
      };
    }
    return {
      offset: statement.start,
      kind: 'control',
      message: `${shown} would end or start a transaction in the middle of the migration`,
      hint: section.options.transaction
        ? 'remove it: the whole file runs in one transaction. Use several files for several transactions; for none, add to -- migrate:' +
          `${section.direction} transaction:false`
        : 'remove it: with transaction:false each statement is committed separately',
    };
  });
  return { blanks: [], complaints: [...complaints, ...outsideOnly(section, statements, text)] };
}

/** What to say of BEGIN … COMMIT around a section that is to run without a transaction: one of the two is a mistake. */
function wrappedWithout(begin: Statement, inner: readonly Statement[], text: string): Complaint {
  const outside = inner.find((statement) => needsNoTransaction(statement, text));
  const wrapper = harmless(modesOf(begin)) ? '' : ', and BEGIN and COMMIT with its modes as well';
  return {
    offset: begin.start,
    message: `${shorten(text.slice(begin.start, begin.end))} … COMMIT around a section with transaction:false`,
    hint: outside
      ? `remove BEGIN and COMMIT: ${shorten(text.slice(outside.start, outside.end))} cannot run inside a transaction`
      : `remove transaction:false${wrapper}: nothing in it needs to run outside a transaction`,
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

function modesOf({ words }: Statement): string {
  return words
    .slice(1)
    .join(' ')
    .replace(/^(?:work|transaction)\b ?/, '');
}

/** Transaction modes that ours has as well. */
function harmless(modes: string): boolean {
  return modes.replace(/isolation level read (?:un)?committed|read write|not deferrable/g, '').trim() === '';
}

function outsideOnly(
  section: Section,
  statements: readonly Statement[],
  text: string,
  wrapped = false,
): Complaint[] {
  if (!section.options.transaction) return [];
  return statements
    .filter((statement) => needsNoTransaction(statement, text))
    .map((statement) => ({
      offset: statement.start,
      kind: 'outside',
      message: `${shorten(text.slice(statement.start, statement.end))} cannot run inside a transaction`,
      hint: `-- migrate:${section.direction} transaction:false   as the first line of a file that holds nothing else${wrapped ? ', BEGIN and COMMIT neither' : ''}`,
    }));
}

/** Statements that PostgreSQL refuses in a transaction block whatever their arguments are. */
function needsNoTransaction({ words, start, end }: Statement, file: string): boolean {
  const text = words.join(' ');
  const [first] = words;
  switch (first) {
    case 'create':
      return /^create (?:unique )?index concurrently\b|^create (?:database|tablespace)\b/.test(text);
    case 'drop':
      return /^drop (?:index concurrently|database|tablespace)\b/.test(text);
    case 'reindex':
      return (
        /^reindex (?:(?:index|table) concurrently|schema|database|system)\b/.test(text) ||
        /^reindex\s*\([^)]*concurrently/i.test(file.slice(start, end))
      );
    case 'alter':
      return /^alter system\b|^alter table .*\bdetach partition .+ concurrently$/.test(text);
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
