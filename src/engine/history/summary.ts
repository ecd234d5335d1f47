import { positionOf } from './stamp.ts';
import type { HistoryRow } from './state.ts';

/** What a history holds, in short. */
export interface HistorySummary {
  count: number;
  /** Greatest position; 0 when empty. */
  last: number;
  /** Of all rows in their order: names, checksums and what is unsettled. */
  fingerprint: string;
  /** It is the history of a central database. */
  central: boolean;
  /** The newest of its rows; 1 for those of 0.1.0. */
  format: number;
}

/** Most databases of a fleet hold one and the same history: what was read lately is not read again. */
const lately: { text: string; copy: HistorySummary }[] = [];
const MOST = 16;

/** Reads `position, name, checksum, state, source` and, of newer ones, `format` in COPY's text format (PostgreSQL manual, COPY, "Text Format"). */
export function parseSummary(text: string): HistorySummary {
  const known = lately.find((each) => each.text === text);
  if (known) return known.copy;
  const rows = text.split('\n').slice(0, -1).map(rowOf);
  // It comes as it lies in the table: a row that was changed lies behind the others.
  rows.sort((a, b) => a.position - b.position);
  const central = rows.some(({ source }) => source === 'central');
  const format = Math.max(1, ...rows.map((row) => row.format));
  const copy = { ...positionOf(rows), central, format };
  lately.unshift({ text, copy });
  if (lately.length > MOST) lately.pop();
  return copy;
}

function rowOf(line: string) {
  const [position, name = '', checksum = '', state, source = '', format = '1'] = line
    .split('\t')
    .map(unescaped);
  return {
    position: Number(position),
    name,
    checksum,
    state: state as HistoryRow['state'],
    source,
    format: Number(format),
  };
}

/** Rows in COPY's text format, null for null. */
export function parseCopyRows(text: string): (string | null)[][] {
  const lines = text.split('\n').slice(0, -1);
  return lines.map((line) => line.split('\t').map((field) => (field === '\\N' ? null : unescaped(field))));
}

const ESCAPES: Record<string, string> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' };

function unescaped(field: string): string {
  return field.includes('\\')
    ? field.replaceAll(/\\(.)/gs, (_, char: string) => ESCAPES[char] ?? char)
    : field;
}
