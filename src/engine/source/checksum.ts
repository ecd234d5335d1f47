import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';
import type { MigrationOptions } from '../migration.ts';

const CARRIAGE_RETURN = 13;
const BOM = [0xef, 0xbb, 0xbf];
const CHUNK = 1 << 20;

/** `v1:` and the SHA-256 in hex of a whole file's bytes: without a BOM, with LF as line end. */
export function checksumOf(content: Uint8Array): string {
  return checksumOfChunks([content]);
}

/** The same of a file, without holding it in memory. Throws what node:fs throws. */
export function checksumOfFile(path: string): string {
  const file = openSync(path, 'r');
  try {
    return checksumOfChunks(chunksOf(file));
  } finally {
    closeSync(file);
  }
}

function* chunksOf(file: number): Generator<Uint8Array> {
  const buffer = Buffer.allocUnsafe(CHUNK);
  for (let read = readSync(file, buffer); read > 0; read = readSync(file, buffer)) {
    yield buffer.subarray(0, read);
  }
}

function checksumOfChunks(chunks: Iterable<Uint8Array>): string {
  const hash = createHash('sha256');
  let isFirst = true;
  // A CR at a chunk's end may be half of a CRLF.
  let held = '';
  for (const chunk of chunks) {
    const bytes = isFirst ? withoutBom(chunk) : chunk;
    isFirst = false;
    if (held === '' && !bytes.includes(CARRIAGE_RETURN)) {
      hash.update(bytes);
      continue;
    }
    const text = held + Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
    held = text.endsWith('\r') ? '\r' : '';
    hash.update(text.slice(0, text.length - held.length).replace(/\r\n?/g, '\n'), 'latin1');
  }
  if (held) hash.update('\n');
  return `v1:${hash.digest('hex')}`;
}

export function withoutBom(content: Uint8Array): Uint8Array {
  return BOM.every((byte, index) => content[index] === byte) ? content.subarray(BOM.length) : content;
}

/** A section as it stands in its file, and what stands behind its marker. */
export interface SectionText {
  text: string;
  options: MigrationOptions;
}

/**
 * `v2:` with the SHA-256 in hex of what `up` runs, and behind another colon that of `down`, where there is one
 * (engine 56). Space and comments around a section do not count: a marker that is put in may part them from it.
 */
export function checksumOfSections(up: SectionText, down: SectionText | undefined): string {
  return `v2:${hashOf(up)}${down ? `:${hashOf(down)}` : ''}`;
}

/** The same of a module, which is one for both. */
export function checksumOfModule(fileChecksum: string): string {
  return `v2:${fileChecksum.slice(3)}`;
}

/** So many characters of a checksum say what `up` ran: `v1:` or `v2:`, and the first hash. */
export const UP = 67;

/** The part of a checksum that says what `up` ran. */
export function upOf(checksum: string): string {
  return checksum.slice(0, UP);
}

function hashOf({ text, options }: SectionText): string {
  const { transaction, lockTimeout, statementTimeout } = options;
  const words = [
    ...(transaction ? [] : ['transaction:false']),
    ...(lockTimeout === undefined ? [] : [`lock_timeout:${lockTimeout}`]),
    ...(statementTimeout === undefined ? [] : [`statement_timeout:${statementTimeout}`]),
  ];
  const hash = createHash('sha256').update(`${words.join(' ')}\n`);
  for (const piece of piecesOf(bare(text))) hash.update(piece.replace(/\r\n?/g, '\n'));
  return hash.digest('hex');
}

function bare(text: string): string {
  const start = /^(?:\s+|--[^\r\n]*)*/.exec(text)?.[0].length ?? 0;
  let end = text.trimEnd().length;
  for (;;) {
    const line = text.lastIndexOf('\n', end - 1) + 1;
    const last = text.slice(line, end).trim();
    // What could be the end of a string is no comment for certain.
    if (line < start || !last.startsWith('--') || /['"$]|\*\//.test(last)) break;
    end = text.slice(0, line).trimEnd().length;
  }
  return text.slice(start, Math.max(start, end));
}

/** A text of many megabytes is not encoded at once; no piece ends within a character or a line end. */
function* piecesOf(text: string): Generator<string> {
  for (let start = 0; start < text.length;) {
    let end = Math.min(start + CHUNK, text.length);
    while (end < text.length && /[\r\uD800-\uDBFF]/.test(text.charAt(end - 1))) end += 1;
    yield text.slice(start, end);
    start = end;
  }
}
