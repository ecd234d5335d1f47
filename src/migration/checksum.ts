import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';

const CARRIAGE_RETURN = 13;
const BOM = [0xef, 0xbb, 0xbf];
const CHUNK = 1 << 20;

/** `v1:` and the SHA-256 in hex of a file's bytes: without a BOM, with LF as line end (engine 20). */
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
