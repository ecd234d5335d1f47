import { createHash } from 'node:crypto';

const CARRIAGE_RETURN = 13;
const BOM = [0xef, 0xbb, 0xbf];

/** `v1:` and the SHA-256 in hex of a file's bytes: without a BOM, with LF as line end (engine 20). */
export function checksumOf(content: Uint8Array): string {
  const bytes = withoutBom(content);
  if (!bytes.includes(CARRIAGE_RETURN)) return `v1:${createHash('sha256').update(bytes).digest('hex')}`;
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('latin1');
  return `v1:${createHash('sha256').update(text.replace(/\r\n?/g, '\n'), 'latin1').digest('hex')}`;
}

export function withoutBom(content: Uint8Array): Uint8Array {
  return BOM.every((byte, index) => content[index] === byte) ? content.subarray(BOM.length) : content;
}
