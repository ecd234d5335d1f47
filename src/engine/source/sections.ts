import { DURATION_FORM, parseDuration } from '../../pace.ts';
import type { Direction, MigrationOptions } from '../migration.ts';
import type { Scan } from '../sql/scan.ts';
import type { Lookalike } from './lookalike.ts';
import { signsAtTop } from './marker.ts';
import type { Marker, Sign, Tool } from './sign.ts';
import { type Complaint, type Section, shorten } from './sql-section.ts';
import { SECTIONS } from './words.ts';

/** What a `.sql` file may hold: both sections, or, as half of a pair, one. */
export type SqlFileKind = 'both' | Direction;

/** How the markers of a file divide it. */
export interface Division {
  sections: Section[];
  /** Sections begin at markers; else the file is one. */
  isMarked: boolean;
  complaints: Complaint[];
  /** What would be a marker of node-pg-migrate's beside others of its kind, and may be a heading. */
  headings: Lookalike[];
  /** Comments that end a statement which has no `;`: one is put there. */
  ends: [start: number, end: number][];
  /** Whose markers it has. */
  tool: Tool | undefined;
}

type Placed<K extends Sign['kind']> = Marker & { sign: Extract<Sign, { kind: K }> };

/**
 * Divides a file into sections, as the tool reads it whose markers it has.
 * @param defaults the options of a section whose marker doesn't say otherwise
 */
export function divide(text: string, found: Scan, kind: SqlFileKind, defaults: MigrationOptions): Division {
  const [markers, headings] = withoutHeadings([...signsAtTop(text), ...found.markers], kind);
  const ends = markers
    .filter(({ sign }) => sign.kind === 'end' || sign.kind === 'break')
    .map(({ offset, end }): [number, number] => [offset, end]);
  const complaints: Complaint[] = [];
  const speaking = markers.filter(({ tool, sign }) => tool !== 'drizzle' && sign.kind !== 'none');
  const [first] = speaking;
  const other = speaking.find(({ tool }) => tool !== first?.tool);
  if (first && other) {
    const message = `${shorten(other.text)} is a marker of ${other.tool}, in a file with markers of ${first.tool}`;
    const hint = `keep those of one of them, and remove ${shorten(first.text)} or ${shorten(other.text)}`;
    complaints.push({ offset: other.offset, message, hint });
    return { sections: [], isMarked: false, complaints, headings: [], ends, tool: first.tool };
  }
  for (const { offset, sign } of markers) {
    if (sign.kind === 'refused') complaints.push({ offset, message: sign.message, hint: sign.hint });
  }
  for (const each of first ? unbalanced(markers, first.tool) : []) complaints.push(each);
  for (const each of templates(text, found, first?.tool)) complaints.push(each);
  const divider = of(markers, 'divide');
  const isMarked = divider.length > 0 || of(markers, 'section').length > 0;
  if (first && !isMarked && SECTIONS[first.tool] && first.sign.kind !== 'refused') {
    const message = `${shorten(first.text)} belongs to no section`;
    complaints.push({
      offset: first.offset,
      message,
      hint: `write ${SECTIONS[first.tool]?.up} above the changes`,
    });
  }
  const sections = divider.length
    ? aboveAndBelow(text, divider, defaults, complaints)
    : marked(text, found, of(markers, 'section'), kind, defaults, complaints);
  for (const section of sections) {
    const inside = ({ offset }: Marker) =>
      first?.tool !== 'tern' || (offset >= section.start && offset < section.end);
    if (of(markers, 'outside').some(inside)) {
      section.written = section.options;
      section.options = { ...section.options, transaction: false };
    }
    if (divider.length && kind !== 'both' && section.direction !== kind) {
      complaints.push(wrongHalf(section.direction, kind, divider[0]?.offset ?? 0, 'tern'));
    }
  }
  return {
    sections: first?.tool === 'liquibase' ? withRollback(text, sections, of(markers, 'revert')) : sections,
    isMarked,
    complaints,
    headings,
    ends,
    tool: first?.tool,
  };
}

function of<K extends Sign['kind']>(markers: readonly Marker[], kind: K): Placed<K>[] {
  return markers.filter((marker): marker is Placed<K> => marker.sign.kind === kind);
}

/**
 * `-- Up Migration` and `-- Down Migration` begin sections where both can: without the first, node-pg-migrate runs the
 * whole file as up; in half of a pair, and beside markers of another tool, they are headings.
 */
function withoutHeadings(markers: readonly Marker[], kind: SqlFileKind): [Marker[], Lookalike[]] {
  const theirs = of(markers, 'section').filter(({ tool }) => tool === 'node-pg-migrate');
  const sectioned = markers.some(({ tool, sign }) => {
    return tool !== 'node-pg-migrate' && (sign.kind === 'section' || sign.kind === 'divide');
  });
  const begins = kind === 'both' && !sectioned && theirs.some(({ sign }) => sign.direction === 'up');
  if (begins) return [[...markers], []];
  const headings = theirs.map(({ offset, end, text, sign }) => {
    return { offset, end, text, direction: sign.direction, plain: true };
  });
  const taken = new Set<Marker>(theirs);
  return [markers.filter((marker) => !taken.has(marker)), headings];
}

/** Statements that are begun and not ended, or ended and not begun. */
function unbalanced(markers: readonly Marker[], tool: Tool): Complaint[] {
  const complaints: Complaint[] = [];
  let open: Marker | undefined;
  const complain = ({ offset, text }: Marker, what: string, hint: string) =>
    complaints.push({ offset, message: `${shorten(text)} ${what}`, hint });
  const unended = (begin: Marker) => complain(begin, 'has no StatementEnd', 'write it behind the statement');
  for (const marker of markers) {
    if (marker.sign.kind === 'begin') {
      if (open) unended(open);
      open = marker;
    } else if (marker.sign.kind === 'section') {
      if (open) unended(open);
      open = undefined;
    } else if (marker.sign.kind === 'end') {
      // sql-migrate passes it by.
      if (!open && tool === 'goose') {
        complain(marker, 'has no StatementBegin', 'write it above the statement, or remove this one');
      }
      open = undefined;
    }
  }
  if (open) unended(open);
  return complaints;
}

/** What another tool puts in before it sends the file. Braces may be SQL within quotes where it isn't tern's. */
function templates(text: string, { statements }: Scan, tool: Tool | undefined): Complaint[] {
  const at = (offset: number, what: string): Complaint => ({
    offset,
    kind: 'template',
    message: `${shorten(text.slice(offset, offset + 60).split(/[\r\n]/)[0] ?? '')} is ${what}`,
    hint: 'write the SQL that it stands for',
  });
  if (tool === 'liquibase') {
    return [...text.matchAll(/\$\{[^}\s]+\}/g)].map(({ index }) => at(index, 'a parameter of Liquibase'));
  }
  const places =
    tool === 'tern'
      ? [...text.matchAll(/\{\{/g)].map(({ index }) => index)
      : statements.map(({ start }) => start).filter((start) => text.startsWith('{{', start));
  return places.map((offset) => at(offset, 'a template of tern, which is not filled in here'));
}

/** tern's: one marker between both. */
function aboveAndBelow(
  text: string,
  dividers: readonly Marker[],
  options: MigrationOptions,
  complaints: Complaint[],
): Section[] {
  const [divider, second] = dividers;
  if (!divider) return [];
  if (second) {
    complaints.push({
      offset: second.offset,
      message: `a second ${second.text}`,
      hint: 'remove one of them',
    });
  }
  return [
    { direction: 'up', start: 0, end: divider.offset, options },
    { direction: 'down', start: divider.end, end: text.length, options },
  ];
}

function marked(
  text: string,
  { statements }: Scan,
  markers: readonly Placed<'section'>[],
  kind: SqlFileKind,
  defaults: MigrationOptions,
  complaints: Complaint[],
): Section[] {
  const [first] = markers;
  const wanted = kind === 'both' ? 'up' : kind;
  if (!first) return [{ direction: wanted, start: 0, end: text.length, options: defaults }];
  const words = SECTIONS[first.tool];
  const stray = statements.find((statement) => statement.start < first.offset);
  if (stray) {
    const isBelow = markers.some(({ sign }) => sign.direction === 'up');
    complaints.push({
      offset: stray.start,
      message: 'SQL before the first marker belongs to no section',
      hint: isBelow ? `move it below ${words?.up}` : `write ${words?.up} above it`,
    });
  }
  const sections: Section[] = [];
  for (const [index, { offset, end, sign, tool }] of markers.entries()) {
    const { direction } = sign;
    if (sections.some((section) => section.direction === direction)) {
      complaints.push(second(offset, tool, direction));
      continue;
    }
    if (kind !== 'both' && kind !== direction) complaints.push(wrongHalf(direction, kind, offset, tool));
    const read = parseOptions(sign.options?.split(/[ \t]+/) ?? [], defaults);
    for (const { message, hint } of read.complaints) complaints.push({ offset, message, hint });
    if (direction === 'down' && read.options.phase)
      complaints.push({
        offset,
        message: 'phase:contract says when up runs: it has no place at the way back',
        hint: 'write it behind -- migrate:up',
      });
    const next = markers[index + 1]?.offset ?? text.length;
    sections.push({ direction, start: end, end: next, options: read.options, insisted: read.insisted });
  }
  if (!sections.some(({ direction }) => direction === wanted) && complaints.length === 0) {
    const word = words?.[wanted];
    complaints.push({
      offset: first.offset,
      message: `there is no ${word} section`,
      hint: `add ${word}; it may be empty`,
    });
  }
  return sections;
}

function nameOf(tool: Tool, direction: Direction): string {
  return SECTIONS[tool]?.[direction].replace(/^-+ ?/, '') ?? direction;
}

function second(offset: number, tool: Tool, direction: Direction): Complaint {
  return tool === 'liquibase'
    ? {
        offset,
        message: 'a second changeset: here a file is one migration',
        hint: 'put each changeset into a file of its own',
      }
    : {
        offset,
        message: `a second ${nameOf(tool, direction)} section`,
        hint: 'put both into one section',
      };
}

function wrongHalf(direction: Direction, kind: Direction, offset: number, tool: Tool): Complaint {
  return {
    offset,
    message: `a ${nameOf(tool, direction)} section in a .${kind}.sql file`,
    hint: `move it to the .${direction}.sql file, or put both sections into one .sql file`,
  };
}

/** Liquibase's rollback lies line by line in the changeset. */
function withRollback(text: string, sections: Section[], reverts: readonly Placed<'revert'>[]): Section[] {
  const [up] = sections;
  const [firstRevert] = reverts;
  if (!up || !firstRevert) return sections;
  const parts: [number, number][] = [];
  let at = up.start;
  for (const { offset, end } of reverts) {
    if (offset > at) parts.push([at, offset]);
    at = Math.max(at, end);
  }
  parts.push([at, up.end]);
  const rollback = reverts.map(({ sign }): [number, number] => [sign.from, sign.to]);
  const whole = { start: 0, end: text.length, options: up.options };
  return [
    { ...up, parts },
    { ...whole, direction: 'down', parts: rollback },
  ];
}

const KNOWN =
  'known options: transaction:false, lock_timeout:5s, statement_timeout:10min, and behind -- migrate:up phase:contract';

/** Reads what stands behind a marker. */
function parseOptions(
  words: readonly string[],
  defaults: MigrationOptions,
): {
  options: MigrationOptions;
  /** It says transaction:true. */
  insisted: boolean;
  complaints: { message: string; hint: string }[];
} {
  const options: MigrationOptions = { ...defaults };
  const complaints: { message: string; hint: string }[] = [];
  const seen = new Set<string>();
  let insisted = false;
  for (const word of words.filter(Boolean)) {
    const colon = word.indexOf(':');
    const key = colon < 0 ? word : word.slice(0, colon);
    const value = colon < 0 ? '' : word.slice(colon + 1);
    const complain = (message: string, hint: string) => complaints.push({ message, hint });
    if (seen.has(key)) complain(`the option ${key} appears twice`, 'keep one of them');
    seen.add(key);
    if (key === 'transaction') {
      insisted = value === 'true';
      if (value === 'true' || value === 'false') options.transaction = value === 'true';
      else complain(`${word} is not a value of transaction`, 'write transaction:false or transaction:true');
    } else if (key === 'lock_timeout' || key === 'statement_timeout') {
      const ms = value === '' ? undefined : parseDuration(value);
      if (ms === undefined) complain(`${word} is not a duration`, `${key}: needs ${DURATION_FORM}`);
      else options[key === 'lock_timeout' ? 'lockTimeout' : 'statementTimeout'] = ms;
    } else if (key === 'phase') {
      if (value === 'contract') options.phase = value;
      else complain(`${word} is not a phase`, 'write phase:contract, or remove it');
    } else if (key === 'env') {
      complain(
        `dbmate puts the variable ${value} into the SQL, which is not done here`,
        'write its value there',
      );
    } else {
      complain(`unknown option ${key}`, KNOWN);
    }
  }
  return { options, insisted, complaints };
}
