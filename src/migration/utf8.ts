import { isUtf8 } from 'node:buffer';
import { MpmError } from '../errors.ts';
import { shellWord } from '../shell-word.ts';
import { withoutBom } from './checksum.ts';

/**
 * The text of a file, which must be UTF-8: what is read as something else is another text, and is written as such.
 * @param path of the file; absent: it was read from stdin
 * @throws MpmError with the code that is given
 */
export function utf8Of(
  content: Uint8Array,
  path: string | undefined,
  { name, code }: { name: string; code: 'MIGRATION_INVALID' | 'USAGE' },
): string {
  const utf16 = utf16Of(content);
  if (!utf16 && isUtf8(content)) {
    const { buffer, byteOffset, byteLength } = withoutBom(content);
    // The same bytes: a big file is not copied.
    return Buffer.from(buffer, byteOffset, byteLength).toString('utf8');
  }
  const command = `iconv -f ${utf16 ?? 'LATIN1'} -t UTF-8`;
  throw new MpmError(code, `${name} is not UTF-8`, {
    subject: path ?? name,
    hint:
      path === undefined
        ? `Send it through: ${command}`
        : `Save it as UTF-8: ${command} ${shellWord(path)} > new${/\.\w+$/.exec(path)?.[0] ?? ''}`,
  });
}

/** UTF-16 has a mark at its start, or a NUL in every other byte. */
function utf16Of(content: Uint8Array): string | undefined {
  const [first = 0, second = 0] = content;
  if ((first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff)) return 'UTF-16';
  const start = content.subarray(0, 1000);
  const nuls = (odd: number) => start.filter((byte, at) => byte === 0 && at % 2 === odd).length;
  if (nuls(1) > start.length / 4) return 'UTF-16LE';
  return nuls(0) > start.length / 4 ? 'UTF-16BE' : undefined;
}
